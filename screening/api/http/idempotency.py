"""``Idempotency-Key``: a POST repeated with the same key is executed once and gets the same
response.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, cast

from django.core.files.base import File
from django.db import transaction
from django.http import Http404, HttpResponse
from rest_framework.exceptions import APIException, ParseError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from screening import idempotency
from screening.api.http.problems import IN_PROGRESS, KEY_REUSED
from screening.api.http.throttling import caller_of
from screening.errors import InProgress, OtherRequest

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
PRINTABLE = "^[ -~]+$"  # of ASCII
KEPT_HEADERS = ("Location", "Retry-After", "ETag", "Preference-Applied")


class StillInProgress(APIException):
    status_code = IN_PROGRESS.status
    default_detail = "The first request with this Idempotency-Key has not been answered yet."
    kind = IN_PROGRESS
    wait = 1


class KeyReused(APIException):
    status_code = KEY_REUSED.status
    default_detail = "This Idempotency-Key was used for another address or another body."
    kind = KEY_REUSED


class RetrySafe(APIView):
    """The base of every API view with a POST. Without the header it changes nothing.

    in_one_transaction: the action and its response are stored together, so that a crash leaves both
    or neither. A view that cannot hold a transaction that long sets False, and recognises repeated
    actions itself.

    keeps_response: a handler sets it False where the same request is to be executed again.
    """

    in_one_transaction = True
    keeps_response = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        key = request.headers.get(HEADER)
        if request.method == "POST" and key is not None and hasattr(self, "post"):
            handler: Any = getattr(self, "post")  # noqa: B009  a view set binds it to itself
            self.post: Any = lambda *a, **k: self._once(_checked(key), handler, *a, **k)

    def _once(
        self, key: str, handler: Callable[..., Any], request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        caller = caller_of(request, "")
        try:
            claimed = idempotency.claim(caller=caller, key=key, fingerprint=fingerprint(request))
            if claimed.answered_at is not None:
                address, user = request.get_full_path(), cast(User, request.user)
                if not idempotency.may_be_repeated(claimed, user=user, address=address):
                    raise Http404
                return _again(claimed.status or 200, claimed.headers, bytes(claimed.body))
            try:
                with transaction.atomic() if self.in_one_transaction else nullcontext():
                    response: HttpResponse = handler(request, *args, **kwargs)
                    if self.keeps_response:
                        _keep(claimed, response)
                    else:
                        idempotency.release(claimed)
                return response
            except BaseException:
                idempotency.release(claimed)
                raise
        except InProgress:
            raise StillInProgress from None
        except OtherRequest:
            raise KeyReused from None


def fingerprint(request: Request) -> str:
    """SHA-256 of the request: the URL and the parsed body, so that a retry may use another
    multipart boundary or order of keys.
    """
    data: Any = request.data
    if hasattr(data, "lists"):
        data = {name: [_plain(value) for value in values] for name, values in data.lists()}
    asked = [request.get_full_path(), _plain(data)]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, bytes | memoryview):
        return hashlib.sha256(value).hexdigest()
    if not isinstance(value, File):
        return value
    digest = hashlib.sha256()
    for chunk in value.chunks():
        digest.update(chunk)
    value.seek(0)
    return digest.hexdigest()


def _checked(key: str) -> str:
    if len(key) <= MAX_LENGTH and re.fullmatch(PRINTABLE, key):
        return key
    raise ParseError(f"{HEADER}: give 1 to {MAX_LENGTH} printable ASCII characters.")


def _keep(claimed: Any, response: Any) -> None:
    """Store the response. Errors are raised and never get here: nothing was done, and the key stays
    free.
    """
    is_data = isinstance(response, Response)
    body = JSONRenderer().render(response.data) if is_data else response.content
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    if not is_data:
        headers["Content-Type"] = response["Content-Type"]
    idempotency.answer(claimed, status=response.status_code, headers=headers, body=body)


def _again(status: int, headers: dict[str, str], body: bytes) -> HttpResponse:
    headers = {"Content-Type": "application/json"} | headers
    response = HttpResponse(body, status=status, headers=headers)
    response.headers["Idempotent-Replayed"] = "true"
    return response
