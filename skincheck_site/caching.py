"""Health data stays on no disk that it was not meant for: a browser's, or a proxy's on the way."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

Respond = Callable[[HttpRequest], HttpResponseBase]


def keep_nothing(get_response: Respond) -> Respond:
    """Middleware: an answer that says nothing of caching is not to be stored. What has an ETag says
    so itself: ``private, no-cache``."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware
