"""Compression of large answers to programs."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

FOR_PROGRAMS = ("/api/", "/fhir/", "/dicomweb/")
TEXTS = (
    "application/json",
    "application/fhir+json",
    "application/dicom+json",
    "application/x-ndjson",
    "text/csv",
)


class ProgramsGZip(GZipMiddleware):
    """Compress texts under ``FOR_PROGRAMS``.

    Not responses with an ``ETag``: compression would weaken it, and ``If-Match`` needs strong ones.
    Not responses to sessions: their secrets stay uncompressed (BREACH).
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        for_program = request.path.startswith(FOR_PROGRAMS) and kind in TEXTS
        if not for_program or response.has_header("ETag") or request.COOKIES:
            return response
        return super().process_response(request, response)
