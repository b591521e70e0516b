"""The exceptions that are an answer, whatever its form: problems, or FHIR's OperationOutcome."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.db import IntegrityError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions, status
from rest_framework.settings import api_settings

from screening.api.http.problems import JSON_LIMIT, SAME_PICTURE
from screening.errors import Busy, Damaged, KeyDestroyed, SearchError
from screening.images.duplicates import SamePicture

logger = logging.getLogger(__name__)

NO_CREDENTIALS = (
    "Send the header “Authorization: Bearer”, followed by an API key or an access token."
)
NOT_FOUND = "This does not exist, or is not for you to see."
UNREADABLE = (
    "What is stored for this was changed or cut off, or its key is gone: it cannot be opened. The "
    "rest of the record is as it was."
)


class QueryError(exceptions.ValidationError):
    """An error in the query string. Its detail is keyed by parameter."""


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The body is larger than {JSON_LIMIT}."


class Conflict(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "The same was stored at the same moment. Look at it, then try again."


class Unavailable(exceptions.APIException):
    """Temporarily unavailable; the request itself was fine."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Many pictures arrive at the moment. Send this one again in a few seconds."
    wait = 5


class SamePictureElsewhere(exceptions.APIException):
    status_code = SAME_PICTURE.status
    kind = SAME_PICTURE

    def __init__(self, same: SamePicture) -> None:
        super().__init__(same.messages[0])
        self.image = same.image


def known(exc: Exception) -> exceptions.APIException | None:
    """What the error is to a client; None for a bug."""
    match exc:
        case exceptions.NotAuthenticated():
            exc.detail = exceptions.ErrorDetail(NO_CREDENTIALS, exc.default_code)
            return exc
        case exceptions.APIException():
            return exc
        case SearchError():
            return exceptions.ValidationError(str(exc))
        case Http404():
            return exceptions.NotFound(NOT_FOUND)
        case PermissionDenied():
            return exceptions.PermissionDenied(*exc.args)
        case SamePicture():
            return SamePictureElsewhere(exc)
        case ValidationError():
            by_field = hasattr(exc, "error_dict")
            return exceptions.ValidationError(exc.message_dict if by_field else exc.messages)
        case Busy():
            return Unavailable()
        case Damaged() | KeyDestroyed():
            logger.error("what is stored cannot be opened: %s", exc)
            return exceptions.NotFound(UNREADABLE)
        case RequestDataTooBig():
            return TooLarge()
        case SuspiciousOperation() | UnreadablePostError():
            return exceptions.ParseError("The body cannot be read: it was cut off or overfilled.")
        case IntegrityError():
            # The write path checks every rule first, so only a concurrent write gets here. Log only
            # the constraint's name: the error itself contains the row.
            name = getattr(getattr(exc.__cause__, "diag", None), "constraint_name", "a constraint")
            logger.warning("%s rejected what the write path had accepted", name)
            return Conflict()
    return None


def flat(detail: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """(JSON pointer, text) pairs; the pointer "" is the whole body."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            escaped = str(key).replace("~", "~0").replace("/", "~1")
            whole = key in (NON_FIELD_ERRORS, api_settings.NON_FIELD_ERRORS_KEY)
            yield from flat(value, pointer if whole else f"{pointer}/{escaped}")
    elif isinstance(detail, list):
        for value in detail:
            yield from flat(value, pointer)
    else:
        yield pointer, str(detail)
