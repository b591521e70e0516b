"""Requests in the audit log: one entry for each that reads or writes a person's data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from accounts.authentication import Credential
from screening.models import Act, Through
from screening.privacy.recording import Recorder, recording, watching
from screening.privacy.thumbnails import is_part_of_a_page
from skincheck_site import request_id

Respond = Callable[[HttpRequest], HttpResponseBase]


def audited(get_response: Respond) -> Respond:
    """Middleware. A response whose entry cannot be written is not sent."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        identifier = request_id.current()  # the identifier is reset before a streamed response ends
        with recording(lambda: _source(request, identifier)) as recorder:
            response = get_response(request)
            if is_part_of_a_page(request):
                return response
            if getattr(request, "log_in_failed", False):
                recorder.event(Act.LOG_IN_FAILED)
            elif response.status_code == 401 and "Authorization" in request.headers:
                recorder.event(Act.REFUSED)
            if not response.streaming or request.method == "HEAD":
                recorder.close(status=response.status_code)
                return response
        if hasattr(response, "file_to_stream"):  # the rows are loaded; bytes follow
            recorder.close(status=response.status_code)
        else:
            streamed = cast(StreamingHttpResponse, response)
            parts = iter(cast("Iterator[bytes]", streamed.streaming_content))
            streamed.streaming_content = _streamed(parts, recorder, response.status_code)
        return response

    return middleware


def _streamed(parts: Iterator[bytes], recorder: Recorder, status: int) -> Iterator[bytes]:
    """The content, part by part. The entry follows at the end, or when the client disconnects."""
    try:
        while True:
            with watching(recorder):
                part = next(parts, None)
            if part is None:
                return
            yield part
    finally:
        recorder.close(status=status)


def _source(request: HttpRequest, identifier: str) -> dict[str, Any]:
    found = request.resolver_match
    user = getattr(request, "user", None)
    credential = getattr(request, "auth", None)
    return {
        "through": _through(request.path),
        "what": (found.view_name if found else "") or "",
        "actor": str(user.pk) if user is not None and user.is_authenticated else None,
        "key": credential.pk if isinstance(credential, Credential) else None,
        "address": _address(request),
        "request": identifier,
    }


def _through(path: str) -> str:
    for prefix, way in (
        ("/api/", Through.API),
        ("/fhir/", Through.FHIR),
        ("/dicomweb/", Through.API),
        ("/admin/", Through.ADMIN),
        ("/calendar/", Through.CALENDAR),
        ("/shared/", Through.SHARE),
    ):
        if path.startswith(prefix) and (way != Through.CALENDAR or path.endswith(".ics")):
            return way
    return Through.PAGE


def _address(request: HttpRequest) -> str | None:
    """The caller's address, behind as many proxies as the settings trust."""
    forwarded = [one.strip() for one in request.headers.get("X-Forwarded-For", "").split(",")]
    if settings.TRUSTED_PROXIES and len(forwarded) >= settings.TRUSTED_PROXIES:
        return forwarded[-settings.TRUSTED_PROXIES] or None
    return request.META.get("REMOTE_ADDR") or None
