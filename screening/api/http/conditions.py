"""Conditional requests: ``ETag``, ``If-None-Match`` to save bytes, ``If-Match`` to prevent lost
updates.

The tag is a digest of the full record as shown, so any change to the record changes it.
"""

from __future__ import annotations

import hashlib
from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from screening.api.http.problems import PRECONDITION_FAILED


class PreconditionFailed(APIException):
    status_code = PRECONDITION_FAILED.status
    default_detail = "It has changed since you looked. Get it again, and send the new ETag."
    kind = PRECONDITION_FAILED


def etag_of(data: Any) -> str:
    return f'"{hashlib.sha256(JSONRenderer().render(data)).hexdigest()[:32]}"'


def is_known(request: Request, etag: str) -> bool:
    """Whether ``If-None-Match`` contains the tag: the client has this version."""
    return _names(request.headers.get("If-None-Match"), etag, weakly=True)


def require_match(request: Request, etag: str) -> None:
    """Raise PreconditionFailed if ``If-Match`` names only other versions."""
    asked = request.headers.get("If-Match")
    if asked is not None and not _names(asked, etag, weakly=False):
        raise PreconditionFailed


def _names(header: str | None, etag: str, *, weakly: bool) -> bool:
    if header is None:
        return False
    named = [one.strip() for one in header.split(",")]
    if weakly:  # proxies that compress weaken the tag
        named = [one.removeprefix("W/") for one in named]
    return etag in named or named == ["*"]
