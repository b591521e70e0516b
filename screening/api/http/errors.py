"""Every error under ``OURS`` as ``application/problem+json`` (RFC 9457): see ``docs/api.md``."""

from __future__ import annotations

import math
import sys
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.reverse import reverse

from accounts.scope_permission import MissingScope
from screening.api.fhir import outcomes
from screening.api.http.known import QueryError, SamePictureElsewhere, flat, known
from screening.api.http.problems import (
    BY_STATUS,
    MALFORMED,
    MISSING_SCOPE,
    NO_ROOM,
    SERVER_ERROR,
    UNAVAILABLE,
    VALIDATION,
    Kind,
)
from screening.api.http.problems import NOT_FOUND as NOT_FOUND_KIND
from screening.operations.transience import is_full, is_transient
from skincheck_site import request_id

CONTENT_TYPE = "application/problem+json"
NO_ADDRESS = "The API has no such address. Addresses of resources end with a slash."
NO_DICOM = (
    "There is no such address of DICOMweb. It begins with studies, series or instances, and none "
    "ends with a slash."
)
OURS = ("/api/", "/dicomweb/")
BUG = "This is our fault, and it has been logged. Nothing was changed. Try again later."


def problem_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """The response to a known error, whatever the view's renderer.

    None for a bug: Django logs it and calls ``server_error``.
    """
    error = known(exc)
    if error is None:
        return None
    kind = getattr(error, "kind", None) or BY_STATUS[error.status_code]
    more = {}
    if isinstance(error, exceptions.ValidationError):
        kind, more = VALIDATION, _validation(error)
    elif isinstance(error, SamePictureElsewhere):
        more = {
            name: reverse(f"api:{name}-detail", args=[pk], request=context["request"])
            for name, pk in (("image", error.image.pk), ("lesion", error.image.lesion_id))
        }
    elif isinstance(error, MissingScope):
        kind, more = MISSING_SCOPE, {"scope": error.scope}
    response = _problem(context["request"], kind, str(error.detail), **more)
    if header := getattr(error, "auth_header", None):
        response.headers["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response.headers["Retry-After"] = str(math.ceil(wait))
    return response


@csrf_exempt
@login_not_required
def nothing_here(request: HttpRequest, path: str) -> HttpResponse:
    """For unknown URLs under ``OURS``."""
    is_dicom = request.path.startswith("/dicomweb/")
    return _problem(request, NOT_FOUND_KIND, NO_DICOM if is_dicom else NO_ADDRESS)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: requests rejected before they reach a view."""
    if request.path.startswith("/fhir/"):
        return outcomes.answer(400, "The request was refused.")
    if not request.path.startswith(OURS):
        return defaults.bad_request(request, exception)
    return _problem(request, MALFORMED, "The request was refused.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, which has logged the traceback. A full disk and transient errors are
    reported as such, wherever in the request they occurred.
    """
    error = sys.exception()
    kind, words = SERVER_ERROR, BUG
    if is_full(error):
        kind, words = NO_ROOM, "There is no room left to keep this. Nothing was changed."
    elif is_transient(error):
        kind = UNAVAILABLE
        words = "Something that this needs cannot be reached at the moment. Nothing was changed."
    if request.path.startswith("/fhir/"):
        response = outcomes.answer(kind.status, words)
    elif request.path.startswith(OURS):
        response = _problem(request, kind, words)
    elif kind is SERVER_ERROR:
        return defaults.server_error(request)
    else:
        response = _page(kind.status, words)
    if kind is not SERVER_ERROR:
        response.headers["Retry-After"] = "300" if kind is NO_ROOM else "10"
    return response


def _validation(error: exceptions.ValidationError) -> dict[str, Any]:
    """How a validation error differs from a plain 400. A single error is also the detail."""
    where = "parameter" if isinstance(error, QueryError) else "pointer"
    errors = [
        {where: pointer.removeprefix("/") if where == "parameter" else pointer, "detail": text}
        for pointer, text in flat(error.detail)
    ]
    detail = errors[0]["detail"] if len(errors) == 1 else f"There are {len(errors)} errors."
    return {"detail": detail, "errors": errors}


def _page(status: int, words: str) -> HttpResponse:
    """Rendered without the request: its context processors may need what is unavailable."""
    return HttpResponse(render_to_string("unavailable.html", {"words": words}), status=status)


def _problem(request: HttpRequest, kind: Kind, text: str, **more: Any) -> HttpResponse:
    body = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": text,
        "instance": request.path,
        "request_id": request_id.current(),
    }
    return JsonResponse(body | more, status=kind.status, content_type=CONTENT_TYPE)
