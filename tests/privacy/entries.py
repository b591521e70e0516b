"""The audit log as it stands once a worker has chained what waits."""

from __future__ import annotations

from typing import Any

from django.core.signals import request_finished
from django.db import close_old_connections

from screening.models import AuditEntry
from screening.privacy import services as audit


def entries(**fields: Any) -> list[AuditEntry]:
    audit.chain_all()
    return list(AuditEntry.objects.filter(**fields).order_by("number"))


def looks_at(image: Any, **fields: Any) -> list[AuditEntry]:
    """Those that read this image."""
    pk = str(image.pk)
    return [one for one in entries(**fields) if pk in one.details["records"].get("lesionimage", ())]


def close(response: Any) -> None:
    """As a server does after each response, but for the test's connection: that stays open."""
    request_finished.disconnect(close_old_connections)
    try:
        response.close()
    finally:
        request_finished.connect(close_old_connections)
