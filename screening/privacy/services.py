"""The chain of the audit log: adding to it, closing old segments, and verifying it.

Requests only leave parts in an outbox, and a worker signs and chains them within seconds, so that
no page waits for another's signature.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from screening.models import (
    Act,
    AuditEntry,
    AuditPart,
    AuditSegment,
    AuditSubject,
    Patient,
    Through,
    witness,
)
from screening.models.signatures import AUDIT, AUDIT_CONTENT, AUDIT_ERASED, sign

CUT_OFF_MINUTES = 15
"""A unit without its last part after this long was interrupted, and is chained as it is."""
AT_ONCE = 500
_OF_CLINICS = ("webhook", "dicomnode", "batch")
"""Our models whose rows belong to a clinic itself."""
_UUID = re.compile("-?".join(f"[0-9a-f]{{{length}}}" for length in (8, 4, 4, 4, 12)))
_CHAIN = 7_160_215_002
"""Identifies the chain's lock among PostgreSQL's advisory locks."""


class Fault(NamedTuple):
    number: int
    text: str


def chain_all() -> int:
    """Chain every finished unit. Returns how many."""
    count = 0
    while (chained := chain_some()) > 0:
        count += chained
    return count


@transaction.atomic
def chain_some() -> int:
    """Chain up to AT_ONCE finished units, in the order in which they ended."""
    _lock_chain()
    late = timezone.now() - timedelta(minutes=CUT_OFF_MINUTES)
    ended = AuditPart.objects.filter(is_last=True).order_by("pk")
    over = dict.fromkeys(ended.values_list("unit", flat=True)[:AT_ONCE])
    if len(over) < AT_ONCE:
        closed = AuditPart.objects.filter(is_last=True).values("unit")
        begun = AuditPart.objects.exclude(unit__in=closed)
        recent = begun.filter(at__gte=late).values("unit")
        cut_off = begun.exclude(unit__in=recent).order_by("pk").values_list("unit", flat=True)
        over |= dict.fromkeys(cut_off[: AT_ONCE - len(over)])
    if not over:
        return 0
    parts: dict[UUID, list[AuditPart]] = {unit: [] for unit in over}
    for part in AuditPart.objects.filter(unit__in=over).order_by("pk"):
        parts[part.unit].append(part)
    number, signature = head()
    entries = []
    for unit, of_unit in parts.items():
        number += 1
        entry = _entry(unit, of_unit)
        entry.number, entry.previous_signature = number, signature
        entry.digest = sign(entry.content, AUDIT_CONTENT)
        entry.signature = signature = sign(entry.signed_content, AUDIT)
        entries.append(entry)
    AuditEntry.objects.bulk_create(entries)
    AuditSubject.objects.bulk_create(
        AuditSubject(entry=entry, patient=patient, clinic=clinic)
        for entry in entries
        for patient, clinic in _subjects(entry.details)
    )
    AuditPart.objects.filter(unit__in=over).delete()
    return len(entries)


def head() -> tuple[int, str]:
    """The number and signature of the last entry, even if its retention period is over."""
    last = AuditEntry.objects.order_by("-number").first()
    if last is not None:
        return last.number, last.signature
    segment = AuditSegment.objects.order_by("-last").first()
    return (segment.last, segment.last_signature) if segment else (0, "")


def close_old_segment() -> AuditSegment | None:
    """Like ``close_segment``, by the setting AUDIT_RETENTION_YEARS; 0 keeps everything."""
    years = settings.AUDIT_RETENTION_YEARS
    return close_segment(before=timezone.now() - timedelta(days=365.25 * years)) if years else None


@transaction.atomic
def close_segment(*, before: datetime) -> AuditSegment | None:
    """Replace the entries from before then by one signed segment. A later entry ends the segment:
    it and all that follow it stay.
    """
    _lock_chain()
    kept = AuditEntry.objects.filter(at__gte=before).order_by("number").first()
    old = AuditEntry.objects.order_by("number")
    if kept is not None:
        old = old.filter(number__lt=kept.number)
    first, last = old.first(), old.last()
    if first is None or last is None:
        return None
    previous = AuditSegment.objects.order_by("-last").first()
    segment = AuditSegment(
        first=first.number,
        last=last.number,
        last_signature=last.signature,
        previous_signature=previous.signature if previous else "",
    )
    segment.signature = sign(segment.signed_content, AUDIT)
    segment.save(force_insert=True)
    old.delete()
    return segment


def forget(is_gone: Callable[[str], bool]) -> int:
    """Remove an erased person and their rows from all entries. is_gone: takes an identifier of 32
    digits.

    What remains is signed again, so the chain holds. Returns how many entries named one.
    """
    chain_all()
    count = 0
    for entry in AuditEntry.objects.order_by("number").iterator(AT_ONCE):
        gone = {one for one in _identifiers(entry.content) if is_gone(one)}
        if gone:
            _forget_in(entry, gone)
            count += 1
    return count


@transaction.atomic
def _forget_in(entry: AuditEntry, gone: set[str]) -> None:
    if _identifiers(entry.actor) & gone:
        entry.actor, entry.address = None, None
    if _identifiers(entry.key) & gone:
        entry.key = None
    entry.details = _without(entry.details, gone)
    entry.erased_signature = sign(entry.content_without_person, AUDIT_ERASED)
    entry.save(update_fields=["actor", "address", "key", "details", "erased_signature"])
    kept = {patient for patient, _ in _subjects(entry.details) if patient}
    entry.subjects.filter(patient__isnull=False).exclude(patient__in=kept).delete()
    kept = {clinic for _, clinic in _subjects(entry.details) if clinic}
    entry.subjects.filter(clinic__isnull=False).exclude(clinic__in=kept).delete()


def _without(value: Any, gone: set[str]) -> Any:
    """The value without every key and item that names one of these."""
    if isinstance(value, dict):
        kept = {name: one for name, one in value.items() if not _identifiers(name) & gone}
        return {name: _without(one, gone) for name, one in kept.items()}
    if isinstance(value, list):
        left = [one for one in value if not (isinstance(one, str) and _identifiers(one) & gone)]
        return [_without(one, gone) for one in left]
    return None if isinstance(value, str) and _identifiers(value) & gone else value


def _identifiers(value: Any) -> set[str]:
    text = json.dumps(value, default=str)
    return {one.replace("-", "") for one in _UUID.findall(text)}


def broken(*, anchor: tuple[int, str] | None = None) -> Iterator[Fault]:
    """Where the chain is broken: changed, forged, missing or moved entries. anchor: the number and
    signature of an entry, noted earlier elsewhere; without it, removing the last entries leaves no
    trace.
    """
    number, signature, sealed = 0, "", ""
    for segment in AuditSegment.objects.order_by("last").iterator():
        if not segment.signature_holds:
            yield Fault(segment.last, "closes a segment that is not as it was signed")
        if segment.first != number + 1 or segment.previous_signature != sealed:
            yield Fault(segment.first, "begins a segment that does not follow the one before it")
        number, signature, sealed = segment.last, segment.last_signature, segment.signature
    closed, found = number, anchor is None
    if anchor is not None and anchor[0] <= closed:
        found = anchor[0] < closed or anchor[1] == signature
    for entry in AuditEntry.objects.order_by("number").prefetch_related("subjects").iterator(500):
        if not entry.signature_holds:
            yield Fault(entry.number, "is not as it was signed")
        if entry.act == Act.TAMPERED:
            yield Fault(entry.number, "was changed before it was chained")
        if entry.number != number + 1 or entry.previous_signature != signature:
            yield Fault(entry.number, "does not follow the one before it: one is missing or moved")
        if {(one.patient, one.clinic) for one in entry.subjects.all()} != _subjects(entry.details):
            yield Fault(entry.number, "is not listed for those whom it is about")
        number, signature = entry.number, entry.signature
        found = found or anchor == (number, signature)
    if not found and anchor is not None:
        yield Fault(anchor[0], "was noted elsewhere, and is gone or is another")


def _lock_chain() -> None:
    """SQLite serialises write transactions anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CHAIN])


def _entry(unit: UUID, parts: list[AuditPart]) -> AuditEntry:
    last = parts[-1]
    entry = AuditEntry(unit=unit, at=last.at, is_complete=last.is_last)
    if not all(part.signature_holds for part in parts):
        entry.act, entry.through, entry.what = Act.TAMPERED, Through.WORKER, "chaining"
        found = [part.content for part in parts]
        entry.details = {"patients": [], "clinics": [], "records": {}, "counts": {}, "found": found}
        return entry
    changes: dict[str, dict[str, list[str]]] = {}
    for part in parts:
        for record, fields in part.content.get("changes", {}).items():
            changes.setdefault(record, {}).update(_joined(changes.get(record, {}), fields))
    said = last.content
    touched = {kind: set(ids) for kind, ids in said.get("of", {}).items()}
    known = {model._meta.model_name for model in witness.ways()}
    for record in changes:
        kind, _, pk = record.partition(":")
        if kind in known and pk != "new":
            touched.setdefault(kind, set()).add(pk)
    patients = {*said.get("patients", ()), *_patients_of(touched)}
    entry.act = said.get("event") or _act(changes)
    entry.through, entry.what = said["through"], said["what"][:200]
    entry.actor, entry.key = _uuid(said.get("actor")), _uuid(said.get("key"))
    entry.address, entry.request = _ip(said.get("address")), said.get("request", "")
    entry.status = said.get("status")
    entry.details = {
        "records": said.get("records", {}),
        "counts": said.get("counts", {}),
        "patients": sorted(patients),
        "clinics": sorted(_clinics_of(patients, changes)),
        "changes": changes,
    }
    return entry


def _joined(before: dict[str, list[str]], fields: dict[str, list[str]]) -> dict[str, list[str]]:
    """If a unit changed a field twice, keep the value before the first change."""
    return {
        name: [before[name][0] if name in before else old, new]
        for name, (old, new) in fields.items()
    }


def _act(changes: dict[str, dict[str, list[str]]]) -> str:
    if any("last_login" in fields and "email" not in fields for fields in changes.values()):
        return Act.LOG_IN
    return Act.WRITE if changes else Act.READ


def _patients_of(touched: dict[str, set[str]]) -> set[str]:
    found = set(touched.get("patient", ()))
    for kind, ids in touched.items():
        path = witness.ways_by_name()[kind].path
        if kind == "patient" or not path:
            continue
        model = apps.get_model("screening", kind)
        rows = getattr(model, "everything", model._base_manager)
        known = sorted(ids)
        for n in range(0, len(known), 500):
            these = rows.filter(pk__in=known[n : n + 500]).order_by()
            found |= {str(pk) for pk in these.values_list(path, flat=True).distinct() if pk}
    return found


def _clinics_of(patients: set[str], changes: dict[str, Any]) -> set[str]:
    """The clinics of the patients and of a clinic's own rows: memberships, keys, settings."""
    known, found = sorted(patients), set()
    for n in range(0, len(known), 500):
        of_patients = Patient._base_manager.filter(pk__in=known[n : n + 500], clinic__isnull=False)
        found |= {str(pk) for pk in of_patients.values_list("clinic_id", flat=True).distinct()}
    for record in changes:
        kind, _, pk = record.partition(":")
        if kind == "clinic":
            found.add(pk)
        elif kind in (*_OF_CLINICS, "membership", "invitation", "apikey", "application"):
            app = "screening" if kind in _OF_CLINICS else "accounts"
            row = apps.get_model(app, kind)._base_manager.filter(pk=pk, clinic__isnull=False)
            found |= {str(one) for one in row.values_list("clinic_id", flat=True)}
    return found


def _subjects(details: dict[str, Any]) -> set[tuple[UUID | None, UUID | None]]:
    return {(UUID(one), None) for one in details["patients"]} | {
        (None, UUID(one)) for one in details["clinics"]
    }


def _uuid(text: str | None) -> UUID | None:
    return UUID(text) if text else None


def _ip(text: str | None) -> str | None:
    """The IP address; None for anything else that a proxy may send."""
    try:
        return str(ipaddress.ip_address(text or ""))
    except ValueError:
        return None
