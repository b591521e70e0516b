"""``ETag`` of a record, ``If-None-Match`` to save its bytes, ``If-Match`` not to overwrite unseen.

The tag is the digest of the record as it is shown whole, so it changes when anything of it does.
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
    """Whether ``If-None-Match`` names it: the caller has these bytes."""
    return _names(request.headers.get("If-None-Match"), etag, weakly=True)


def require_match(request: Request, etag: str) -> None:
    """Raise PreconditionFailed where ``If-Match`` names other versions only."""
    asked = request.headers.get("If-Match")
    if asked is not None and not _names(asked, etag, weakly=False):
        raise PreconditionFailed


def _names(header: str | None, etag: str, *, weakly: bool) -> bool:
    if header is None:
        return False
    named = [one.strip() for one in header.split(",")]
    if weakly:  # proxies that compress make a tag weak
        named = [one.removeprefix("W/") for one in named]
    return etag in named or named == ["*"]
