"""Content negotiation: FHIR as JSON is the only format."""

from __future__ import annotations

import re
from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from screening.api.fhir.outcomes import CONTENT_TYPE
from screening.api.http.negotiation import Negotiation
from screening.api.http.parsers import JSONBody

JSON = (CONTENT_TYPE, "application/json", "application/json+fhir", "text/json", "json")
ANY = ("*/*", "application/*")
_VERSION = re.compile(r";[\s+]*fhirversion\s*=\s*\"?([\w.]*)", re.IGNORECASE)
ONLY_4 = "This is FHIR R4: the only fhirVersion is 4.0."
ONLY_JSON = "Answers are JSON only: accept application/fhir+json."


class FhirJSON(JSONRenderer):
    media_type = CONTENT_TYPE


class FhirJSONParser(JSONBody):
    media_type = CONTENT_TYPE


class FhirNegotiation(Negotiation):
    """The type from ``_format``, else ``Accept``. Of its parameters only fhirVersion has an
    effect.
    """

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: Any = None
    ) -> tuple[Any, str]:
        if not _acceptable(request):
            raise NotAcceptable(ONLY_JSON)
        if not any(_is_of_4(part) for part in _parts(request)):
            raise NotAcceptable(ONLY_4)
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
    return [part.partition(";")[0].strip() for part in _parts(request)]


def _parts(request: Request) -> list[str]:
    wanted = request.query_params.get("_format")
    if wanted is not None:
        # An unescaped plus sign arrives as a space.
        return [wanted.strip().replace(" ", "+")]
    return [kind.lower() for kind in Negotiation().get_accept_list(request)]


def _is_of_4(part: str) -> bool:
    told = _VERSION.search(part)
    return told is None or told[1] in ("4.0", "4.0.1")
