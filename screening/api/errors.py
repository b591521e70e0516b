"""Every error under ``/api/`` as ``application/problem+json`` (RFC 9457): see ``docs/api.md``."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import (
    NON_FIELD_ERRORS,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, status
from rest_framework.settings import api_settings

from accounts.permissions import MissingScope
from screening.api.fhir import outcomes

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
VALIDATION = ("validation", "The request has errors")
MISSING_SCOPE = ("missing-scope", "The key or token may not do that")
KINDS: dict[int, tuple[str, str]] = {
    400: ("malformed", "The request cannot be read"),
    401: ("not-authenticated", "You are not logged in"),
    403: ("permission-denied", "You may not do that"),
    404: ("not-found", "There is nothing here"),
    405: ("method-not-allowed", "This cannot be done here"),
    406: ("not-acceptable", "The answer cannot be given in this format"),
    409: ("conflict", "Someone else was faster"),
    413: ("too-large", "The request is too large"),
    415: ("unsupported-media-type", "The request is in the wrong format"),
    429: ("too-many-requests", "Too many requests"),
    500: ("server-error", "Something went wrong here"),
}
NOT_FOUND = "This does not exist, or is not for you to see."
NO_ADDRESS = "The API has no such address. Addresses of resources end with a slash."
BUG = "This is our fault, and it has been logged. Nothing was changed. Try again later."


class QueryError(exceptions.ValidationError):
    """Something is wrong in the query string. Its detail is keyed by parameter."""


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is larger than 1 MB."


class Conflict(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "The same was stored at the same moment. Look at it, then try again."


def problem_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """The answer to a known error, whatever a view renders otherwise.

    None for a bug: Django logs it and calls ``server_error``.
    """
    error = _known(exc)
    if error is None:
        return None
    more = _more(error)
    response = _problem(context["request"], error.status_code, str(error.detail), **more)
    if header := getattr(error, "auth_header", None):
        response.headers["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response.headers["Retry-After"] = str(math.ceil(wait))
    return response


@csrf_exempt
@login_not_required
def nothing_here(request: HttpRequest, path: str) -> HttpResponse:
    """For every address under ``/api/`` that is none."""
    return _problem(request, 404, NO_ADDRESS)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: what is refused before a view is reached."""
    if request.path.startswith("/fhir/"):
        return outcomes.answer(400, "The request was refused.")
    if not request.path.startswith("/api/"):
        return defaults.bad_request(request, exception)
    return _problem(request, 400, "The request was refused.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500. Django has logged the traceback."""
    if request.path.startswith("/fhir/"):
        return outcomes.answer(500, outcomes.BUG)
    if not request.path.startswith("/api/"):
        return defaults.server_error(request)
    return _problem(request, 500, BUG)


def _known(exc: Exception) -> exceptions.APIException | None:
    match exc:
        case exceptions.APIException():
            return exc
        case Http404():
            return exceptions.NotFound(NOT_FOUND)
        case PermissionDenied():
            return exceptions.PermissionDenied(*exc.args)
        case ValidationError():
            by_field = hasattr(exc, "error_dict")
            return exceptions.ValidationError(exc.message_dict if by_field else exc.messages)
        case RequestDataTooBig():
            return TooLarge()
        case SuspiciousOperation() | UnreadablePostError():
            return exceptions.ParseError("The body cannot be read: it was cut off or overfilled.")
        case IntegrityError():
            # The write path checks every rule first, so only a second writer gets here.
            logger.warning("a constraint refused what the write path had let through", exc_info=exc)
            return Conflict()
    return None


def _more(error: exceptions.APIException) -> dict[str, Any]:
    """What a problem says beyond its status."""
    match error:
        case exceptions.ValidationError():
            return _validation(error)
        case MissingScope():
            slug, title = MISSING_SCOPE
            return {"type": f"/problems/{slug}", "title": title, "scope": error.scope}
    return {}


def _validation(error: exceptions.ValidationError) -> dict[str, Any]:
    """What a validation error says in place of a plain 400. One error is also the detail."""
    where = "parameter" if isinstance(error, QueryError) else "pointer"
    errors = [
        {where: pointer.removeprefix("/") if where == "parameter" else pointer, "detail": text}
        for pointer, text in _flat(error.detail)
    ]
    slug, title = VALIDATION
    detail = errors[0]["detail"] if len(errors) == 1 else f"There are {len(errors)} errors."
    return {"type": f"/problems/{slug}", "title": title, "detail": detail, "errors": errors}


def _flat(detail: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """(JSON pointer, text) pairs; the pointer "" is the whole body."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            escaped = str(key).replace("~", "~0").replace("/", "~1")
            whole = key in (NON_FIELD_ERRORS, api_settings.NON_FIELD_ERRORS_KEY)
            yield from _flat(value, pointer if whole else f"{pointer}/{escaped}")
    elif isinstance(detail, list):
        for value in detail:
            yield from _flat(value, pointer)
    else:
        yield pointer, str(detail)


def _problem(request: HttpRequest, code: int, text: str, **more: Any) -> HttpResponse:
    slug, title = KINDS[code]
    body = {
        "type": f"/problems/{slug}",
        "title": title,
        "status": code,
        "detail": text,
        "instance": request.path,
    }
    return JsonResponse(body | more, status=code, content_type=CONTENT_TYPE)
