"""System checks that catch an unsafe or broken deployment (``manage.py check --deploy``)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from ml import reader


@register(Tags.files)
def model_is_there(**_: Any) -> list[CheckMessage]:
    try:
        reader.load()
    except reader.ModelUnavailable as error:
        return [Error(str(error), id="skincheck.E001")]
    return []


@register(Tags.security, deploy=True)
def production_is_whole(**_: Any) -> list[CheckMessage]:
    """A partial production set-up: one worker could not reach another's files or messages."""
    if settings.EMBEDDED:
        return []
    found: list[CheckMessage] = []
    if settings.WEBHOOK_ALLOW_PRIVATE:
        found.append(
            Warning(
                "WEBHOOK_ALLOW_PRIVATE lets who adds a webhook or DICOM node reach this network.",
                id="skincheck.W003",
            )
        )
    if not settings.HTTPS:
        found.append(
            Warning("Set HTTPS=1: health data must not travel in the clear.", id="skincheck.W001")
        )
    if not settings.DATABASE_URL or not settings.REDIS_URL:
        found.append(
            Warning(
                "Set both DATABASE_URL and REDIS_URL: one alone is half a production.",
                id="skincheck.W002",
            )
        )
    if not settings.ENCRYPT_AT_REST:
        found.append(
            Warning(
                "Set ENCRYPTION_KEY: pictures are stored as they are.",
                id="skincheck.W004",
            )
        )
    if settings.DEBUG:
        found.append(Error("DEBUG shows strangers the inside of every error.", id="skincheck.E002"))
    return found
