"""One identifier per request: in its response, in every log line, and in a problem's body."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from uuid_utils.compat import uuid7

HEADER = "X-Request-ID"
_ALLOWED = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_current: ContextVar[str] = ContextVar("request_id", default="-")


def current() -> str:
    """``-`` outside a request."""
    return _current.get()


class RequestIdMiddleware:
    """Uses the client's own identifier if it is short and plain."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(HEADER, "")
        own = given if _ALLOWED.fullmatch(given) else uuid7().hex
        token = _current.set(own)
        try:
            response = self.get_response(request)
            response.headers[HEADER] = own
            return response
        finally:
            _current.reset(token)


class WithRequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current()
        return True
