"""The start and end of every correction: lock the records, then log what was changed.

Corrections lock the patients concerned, in the order of their identifiers, so that two corrections
of one record run one after the other. Code that only adds to a lesion locks the lesion.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from accounts.models import User
from screening.models import (
    Correction,
    CorrectionKind,
    DoctorVisit,
    Event,
    Histology,
    Lesion,
    LesionImage,
    Patient,
)
from screening.predictions.arrivals import next_moment
from screening.records.visits import ONLY_ONES_OWN, is_own
from screening.webhooks.outbox import announce_about

Record = Patient | Lesion | LesionImage | DoctorVisit | Histology

LONGEST_REASON = 400
MEANWHILE = "Someone else has changed this in the meantime. Check it again."
_WITH = {
    Patient: (),
    Lesion: ("patient",),
    LesionImage: ("lesion__patient",),
    DoctorVisit: ("lesion__patient",),
    Histology: ("lesion__patient",),
}
ONLY_CLINICIANS = "Only a clinician of the patient's clinic corrects histology."


def held(*records: Record, user: User, withdrawn: bool = False) -> list[Any]:
    """The records, with their patients locked against other corrections until the transaction ends.

    Raises PermissionDenied unless ``user`` may write all of them and passes ``require_author``.
    Raises ValidationError if one was moved to another patient meanwhile or, unless ``withdrawn``,
    was withdrawn.
    """
    found_at = [_fresh(record) for record in records]
    ids = {patient_of(record).pk for record in found_at}
    locked = Patient.everything.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    found = {patient.pk for patient in locked}
    if Patient.everything.writable_by(user).filter(pk__in=found).count() != len(found):
        raise PermissionDenied("You may look at this record, but not change it.")
    for record in found_at:
        require_author(user, record)
    lesions = {lesion.pk for record in found_at if (lesion := lesion_of(record))}
    list(Lesion.everything.select_for_update(no_key=True).filter(pk__in=lesions).order_by("pk"))
    fresh = [_fresh(record) for record in records]
    if any(patient_of(record).pk not in found for record in fresh):
        raise ValidationError(MEANWHILE)
    if not withdrawn and any(is_out(record) for record in fresh):
        raise ValidationError("This was withdrawn in the meantime.")
    return fresh


def require_author(user: User, record: Record) -> None:
    """Raise PermissionDenied unless ``user`` may enter such a record. A visit is entered by the
    owner of the record, histology by a clinician.
    """
    patient = patient_of(record)
    if isinstance(record, DoctorVisit) and not is_own(user, patient):
        raise PermissionDenied(ONLY_ONES_OWN)
    if isinstance(record, Histology):
        reviewable = Patient.everything.reviewable_by(user).filter(pk=patient.pk)
        if not reviewable.exists():
            raise PermissionDenied(ONLY_CLINICIANS)


def require_same_keeper(one: Patient, other: Patient, field: str) -> None:
    """Raise ValidationError unless both belong to the same clinic and owner: a correction never
    takes a record out of a clinic or away from the person whose skin it is.
    """
    if (one.clinic_id, one.owner_id) != (other.clinic_id, other.owner_id):
        text = "Both must belong to the same clinic and the same person."
        raise ValidationError({field: text})


def require_place(image: LesionImage) -> None:
    """Raise ValidationError if the picture was added again after its withdrawal."""
    same = image.lesion.images.filter(sha256=image.sha256, is_twin=False).first()
    if same is not None and not image.is_twin:
        raise ValidationError(
            f"The same picture is on “{image.lesion}” already, added again on "
            f"{same.created:%Y-%m-%d}. Withdraw that one first."
        )


def patient_of(record: Record) -> Patient:
    match record:
        case Patient():
            return record
        case Lesion():
            return record.patient
        case _:
            return record.lesion.patient


def lesion_of(record: Record) -> Lesion | None:
    match record:
        case Patient():
            return None
        case Lesion():
            return record
        case _:
            return record.lesion


def is_out(record: Record) -> bool:
    """Whether the record, or something it belongs to, is withdrawn."""
    lesion = lesion_of(record)
    return (
        record.is_withdrawn
        or patient_of(record).is_withdrawn
        or (lesion is not None and lesion.is_withdrawn)
    )


def checked_reason(reason: str, *, needed: bool = False) -> str:
    """The reason, stripped. Raises ValidationError if it is empty but ``needed``."""
    reason = reason.strip()
    if needed and not reason:
        raise ValidationError({"reason": "Say why."})
    if len(reason) > LONGEST_REASON:
        raise ValidationError({"reason": f"Use at most {LONGEST_REASON} characters."})
    return reason


def note(
    kind: CorrectionKind,
    record: Record,
    *,
    user: User,
    reason: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    patient: Patient | None = None,
    lesion: Lesion | None = None,
    beside: Lesion | None = None,
) -> Correction:
    """Log and announce a correction.

    patient, lesion: where the record was before, if not where it is now. beside: another lesion
    that it changes; the correction comes after everything that arrived at either. ``touch``
    announces the patients and lesions that remain.
    """
    _announce(record)
    lesions = {one for one in (lesion_of(record), lesion, beside) if one is not None}
    return Correction.objects.create(
        created=next_moment(*lesions),
        kind=kind,
        made_by=user,
        patient=patient or patient_of(record),
        lesion=lesion or lesion_of(record),
        image=record if isinstance(record, LesionImage) else None,
        visit=record if isinstance(record, DoctorVisit) else None,
        histology=record if isinstance(record, Histology) else None,
        reason=reason,
        before=plain(before or {}),
        after=plain(after or {}),
    )


def touch(*records: Patient | Lesion, reveals_finding: bool = False) -> None:
    """Mark the records as modified and announce it, so that clients that ask for changes see them.
    Withdrawn ones are excluded: ``note`` announced those. reveals_finding: see ``announce``.
    """
    now = timezone.now()
    for record in records:
        type(record).everything.filter(pk=record.pk).update(modified=now)
        if not record.is_withdrawn:
            _tell(record, "changed", reveals_finding=reveals_finding)


def _announce(record: Record) -> None:
    if isinstance(record, DoctorVisit):
        return
    if record.is_withdrawn:
        _tell(record, "withdrawn")
    elif isinstance(record, LesionImage | Histology):
        _tell(record, "changed")


def _tell(
    record: Patient | Lesion | LesionImage | Histology, what: str, *, reveals_finding: bool = False
) -> None:
    lesion = lesion_of(record)
    named = {} if lesion is None else {"lesion": lesion.pk}
    match record:
        case LesionImage():
            kind, named["image"] = "image", record.pk
        case Histology():
            kind, named["histology"] = "histology", record.pk
        case _:
            kind = "patient" if lesion is None else "lesion"
    event = Event(f"{kind}.{what}")
    announce_about(patient_of(record), event, reveals_finding=reveals_finding, **named)


def plain(fields: dict[str, Any]) -> Any:
    """Days and identifiers as in JSON; timestamps to the microsecond."""
    return json.loads(json.dumps(fields, cls=_Exact))


class _Exact(DjangoJSONEncoder):
    def default(self, value: Any) -> Any:
        return value.isoformat() if isinstance(value, datetime) else super().default(value)


def _fresh(record: Record) -> Any:
    model = type(record)
    found = model.everything.select_related(*_WITH[model]).filter(pk=record.pk).first()
    if found is None:
        raise ValidationError(MEANWHILE)
    return found
