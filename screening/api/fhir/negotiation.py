"""Content negotiation: FHIR as JSON is the only format."""

from __future__ import annotations

import re
from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from screening.api.fhir.outcomes import CONTENT_TYPE

JSON = (CONTENT_TYPE, "application/json", "application/json+fhir", "text/json", "json")
ANY = ("*/*", "application/*")
ONLY_JSON = "Answers are JSON only: accept application/fhir+json."


class FhirJSON(JSONRenderer):
    media_type = CONTENT_TYPE


class FhirNegotiation(BaseContentNegotiation):
    """By ``_format``, else ``Accept``. Parameters such as fhirVersion have no effect."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return next(iter(parsers), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: Any = None
    ) -> tuple[Any, str]:
        if not _acceptable(request):
            raise NotAcceptable(ONLY_JSON)
        return renderers[0], CONTENT_TYPE


def wants_resource(request: Request) -> bool:
    """For a picture: whether FHIR JSON was requested explicitly."""
    return any(kind in JSON for kind in _accepted(request))


def is_strict(request: Request) -> bool:
    """``Prefer: handling=strict``: unknown parameters are rejected instead of ignored."""
    return "handling=strict" in re.split(r"[,;\s]+", request.headers.get("Prefer", ""))


def _acceptable(request: Request) -> bool:
    return any(kind in (*JSON, *ANY) for kind in _accepted(request))


def _accepted(request: Request) -> list[str]:
    wanted = request.query_params.get("_format")
    if wanted is not None:
        # An unescaped plus sign arrives as a space.
        return [wanted.partition(";")[0].strip().replace(" ", "+")]
    accepted = request.headers.get("Accept", "*/*")
    return [part.partition(";")[0].strip().lower() for part in accepted.split(",")]
