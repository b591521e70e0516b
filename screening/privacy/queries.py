"""Read path of the audit log."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Clinic, Membership, User
from screening.models import AuditEntry, AuditSubject, Through


def about(patients: Collection[UUID]) -> QuerySet[AuditEntry]:
    """Entries about any of these patients, the latest first."""
    subjects = AuditSubject.objects.filter(patient__in=patients)
    return AuditEntry.objects.filter(pk__in=subjects.values("entry"))


def of_clinic(clinic: Clinic) -> QuerySet[AuditEntry]:
    """Entries about patients, members or settings of the clinic, the latest first."""
    subjects = AuditSubject.objects.filter(clinic=clinic.pk)
    return AuditEntry.objects.filter(pk__in=subjects.values("entry"))


def by_people(entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """Entries without the software's own acts."""
    return entries.exclude(through=Through.WORKER)


def by_nobody_of(clinic: Clinic, entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """Entries of people and programs that are not members now."""
    members = Membership.objects.filter(clinic=clinic).values_list("user", flat=True)
    return by_people(entries).exclude(actor__in=list(members))


def between(
    entries: QuerySet[AuditEntry], first: date | None, last: date | None
) -> QuerySet[AuditEntry]:
    """Entries of these days, both included."""
    if first is not None:
        entries = entries.filter(at__gte=_midnight(first))
    if last is not None:
        entries = entries.filter(at__lt=_midnight(last + timedelta(days=1)))
    return entries


def names_of(actors: Iterable[UUID | None]) -> dict[UUID, str]:
    """The names of accounts that are still here."""
    known = User.objects.in_bulk({one for one in actors if one is not None})
    return {pk: str(user) for pk, user in known.items()}


def touched(entry: AuditEntry, patients: Collection[UUID]) -> dict[str, Any]:
    """records, by kind, and changes: names of fields by record. Empty if the entry is about other
    patients too, because the lists do not say which record is whose.
    """
    if not is_only_about(entry, patients):
        return {"records": {}, "changes": {}}
    changes = entry.details.get("changes", {})
    return {
        "records": entry.details.get("records", {}),
        "changes": {record: sorted(fields) for record, fields in changes.items()},
    }


def is_only_about(entry: AuditEntry, patients: Collection[UUID]) -> bool:
    return {UUID(one) for one in entry.details["patients"]} <= set(patients)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
