"""Read path of the audit log."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import User
from screening.models import AuditEntry, AuditSubject


def about(patients: Collection[UUID]) -> QuerySet[AuditEntry]:
    """Entries about any of these patients, the latest first."""
    subjects = AuditSubject.objects.filter(patient__in=patients)
    return AuditEntry.objects.filter(pk__in=subjects.values("entry"))


def names_of(actors: Iterable[UUID | None]) -> dict[UUID, str]:
    """The names of accounts that are still here."""
    known = User.objects.in_bulk({one for one in actors if one is not None})
    return {pk: str(user) for pk, user in known.items()}


def touched(entry: AuditEntry, patients: Collection[UUID]) -> dict[str, Any]:
    """records, by kind, and changes: names of fields by record. Empty if the entry is about other
    patients too: a list does not say which record is whose.
    """
    alone = {UUID(one) for one in entry.details["patients"]} <= set(patients)
    if not alone:
        return {"records": {}, "changes": {}}
    changes = entry.details.get("changes", {})
    return {
        "records": entry.details.get("records", {}),
        "changes": {record: sorted(fields) for record, fields in changes.items()},
    }
