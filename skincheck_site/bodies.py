"""Limits on anonymous requests: the size of a login form, and no more."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

Respond = Callable[[HttpRequest], HttpResponseBase]

MOST_OF_A_STRANGER = 64 * 1024
# Their views authenticate the caller before they read a body.
ASK_FIRST = ("/api/", "/fhir/", "/dicomweb/")


def refuse_large(get_response: Respond) -> Respond:
    """Middleware, before anything reads the body: the CSRF check parses all of it, including
    files.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or 0
        if (
            int(length) > MOST_OF_A_STRANGER
            and not request.path.startswith(ASK_FIRST)
            and not request.user.is_authenticated
        ):
            text = "Log in first: nobody who is not sends that much."
            return HttpResponse(text, status=413, content_type="text/plain; charset=utf-8")
        return get_response(request)

    return middleware
