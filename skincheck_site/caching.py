"""Keeps health data out of browser and proxy caches."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

Respond = Callable[[HttpRequest], HttpResponseBase]


def keep_nothing(get_response: Respond) -> Respond:
    """Middleware: adds no-store to responses that do not mention caching. Responses with an ETag
    set ``private, no-cache`` themselves.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware
