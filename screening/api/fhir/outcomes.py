"""Every error under ``/fhir/`` as an OperationOutcome."""

from __future__ import annotations

import math
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from screening.api.http.known import flat, known
from screening.errors import SearchError
from screening.interop.fhir.bundles import outcome

CONTENT_TYPE = "application/fhir+json"
CODES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    412: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "processing",
    429: "throttled",
    500: "exception",
    503: "transient",
    507: "no-store",
}
NO_ADDRESS = "There is nothing at this address. See /fhir/R4/metadata for what there is."
BUG = "This is our fault, and it has been logged. Try again later."


def handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """The exception handler of the FHIR views. None for a bug: Django logs it and calls ``answer``
    with 500.
    """
    if isinstance(exc, SearchError):
        return answer(400, str(exc), exc.code)
    error = known(exc)
    if error is None:
        return None
    response = answer(error.status_code, " ".join(text for _, text in flat(error.detail)))
    if header := getattr(error, "auth_header", None):
        response.headers["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response.headers["Retry-After"] = str(math.ceil(wait))
    return response


@csrf_exempt
@login_not_required
def nothing_here(request: HttpRequest, path: str) -> HttpResponse:
    """For unknown URLs under ``/fhir/``."""
    return answer(404, NO_ADDRESS)


def answer(status: int, text: str, code: str = "") -> HttpResponse:
    body = outcome("error", code or CODES[status], text)
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE)
