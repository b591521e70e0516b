"""Write path of corrections to one record: an image's day and kind; withdrawal and restoration.

Functions as in ``screening.records.services``. Nothing is deleted: each leaves a ``Correction``.
"""

from __future__ import annotations

from datetime import date, time
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from screening.corrections import merges, moves
from screening.corrections.consequences import follow
from screening.corrections.journal import (
    Record,
    checked_reason,
    held,
    lesion_of,
    note,
    patient_of,
    require_place,
    touch,
)
from screening.models import CorrectionKind, DoctorVisit, Histology, Lesion, LesionImage, Patient
from screening.models.base import Entry, save_checked
from screening.predictions import services as prediction_services
from screening.predictions.arrivals import next_moment
from screening.records import closing, plausibility

UNCHANGED: Any = object()


@transaction.atomic
def correct_image(
    *,
    user: User,
    image: LesionImage,
    captured_on: date = UNCHANGED,
    captured_time: time | None = UNCHANGED,
    modality: str = UNCHANGED,
    reason: str = "",
) -> LesionImage:
    """Set the picture's day, time and modality. Arguments that are not given stay as they are.

    A new day or time changes its place among the lesion's images. The picture is read again if the
    model would get another age, or if it turns out to be dermatoscopic. An ordinary photograph
    keeps a reading that warns until a doctor has settled it.
    """
    reason = checked_reason(reason)
    (image,) = held(image, user=user)
    kept = image.captured_time.replace(microsecond=0) if image.captured_time else None
    if captured_time == kept:  # forms show it to the second
        captured_time = UNCHANGED
    asked = {"captured_on": captured_on, "captured_time": captured_time, "modality": modality}
    changes = {
        name: value
        for name, value in asked.items()
        if value is not UNCHANGED and value != getattr(image, name)
    }
    if not changes:
        return image
    if "captured_on" in changes:
        closed_on = image.lesion.closed_on
        if closed_on is not None and image.captured_on > closed_on >= captured_on:
            moves.require_followed(image.lesion, "captured_on")
        plausibility.require_capture_day(captured_on, image.lesion.patient)
    before = {name: getattr(image, name) for name in changes}
    if changes.keys() & {"captured_on", "captured_time"}:
        before["placed_at"] = image.placed_at.isoformat()
    for name, value in changes.items():
        setattr(image, name, value)
    if changes.keys() & {"captured_on", "captured_time"}:
        image.placed_at = next_moment(image.lesion)
    image.full_clean()
    image.save()
    note(CorrectionKind.EDITED, image, user=user, reason=reason, before=before, after=changes)
    touch(image.lesion)
    prediction_services.read_with_new_details(image=image)
    follow([image], image.lesion)
    return image


@transaction.atomic
def withdraw(*, user: User, record: Record, reason: str) -> Record:
    """Withdraw the record as entered in error. It stays visible only among the corrections.

    Everything that belongs to it is hidden too. What a withdrawn entry had corrected applies again.
    Raises ValidationError without a reason, and for an entry that another one corrects.
    """
    reason = checked_reason(reason, needed=True)
    record = held(record, user=user)[0]
    before: dict[str, Any] = {}
    corrected = record.supersedes if isinstance(record, Entry) else None
    if isinstance(record, Entry):
        if not type(record)._default_manager.standing().contains(record):
            raise ValidationError("A later entry corrects it. Withdraw that one first.")
        if corrected is not None:
            before, record.supersedes = {"supersedes": corrected.pk}, None
    lesion = lesion_of(record)
    record.withdrawn_at = next_moment(*([lesion] if lesion else []))
    record.withdrawn_by = user
    record.withdrawn_because = reason
    record.save()
    note(CorrectionKind.WITHDRAWN, record, user=user, reason=reason, before=before)
    if isinstance(record, LesionImage | Entry):
        closing.reopen_unless_removed(user=user, lesion=record.lesion, besides=corrected)
    if isinstance(corrected, DoctorVisit | Histology):
        closing.close_again(user=user, record=corrected, since=record.created)
    _after(record)
    return record


@transaction.atomic
def restore(
    *,
    user: User,
    record: Record,
    reason: str = "",
    label: str = "",
    acknowledged: bool = False,
) -> Record:
    """Restore a withdrawn record, and split a merged one off again.

    label: a new one for a patient whose label has been taken. acknowledged: the user knows what is
    ``merges.at_stake``. Raises ValidationError, with the reason, if something prevents it.
    """
    reason = checked_reason(reason)
    record, *into = held(record, *merges.successor(record), user=user, withdrawn=True)
    if not record.is_withdrawn:
        raise ValidationError("This is not withdrawn.")
    _require_place(record, label.strip())
    if isinstance(record, LesionImage) and record.was_removed:
        _require_shown_to_who_closed(record)
    if isinstance(record, Entry):
        record.supersedes = _corrected_by(record)
    moves.require_acknowledged(acknowledged, merges.at_stake(record, user))
    before = {"withdrawn_because": record.withdrawn_because}
    if isinstance(record, Patient) and label.strip():
        before["label"], record.label = record.label, label.strip()
    out_since: Any = record.withdrawn_at
    record.withdrawn_at, record.withdrawn_by, record.withdrawn_because = None, None, ""
    if into and isinstance(record, Patient | Lesion):
        record.merged_into = None
    if isinstance(record, LesionImage) and moves.was_concluded(record.lesion, out_since):
        record.placed_at = next_moment(record.lesion)  # earlier acts did not take it into account
    record.full_clean()
    save_checked(record)
    for one in into:
        merges.take_apart(record, one, user=user)
    plausibility.require_days(patient_of(record))  # may have been corrected meanwhile
    note(CorrectionKind.RESTORED, record, user=user, reason=reason, before=before)
    if isinstance(record, Entry) and record.supersedes is not None:
        closing.reopen_unless_removed(user=user, lesion=record.lesion, besides=record)
    if isinstance(record, DoctorVisit | Histology | LesionImage):
        closing.close_again(user=user, record=record, since=out_since)
    _after(record)
    for one in (record, *into):
        prediction_services.read_with_new_details(**_of(one))
        prediction_services.read_by_default(**_of(one))
    return record


def _require_shown_to_who_closed(image: LesionImage) -> None:
    """Raise ValidationError if its lesion was closed while the picture was withdrawn: its warning
    would be hidden.
    """
    out_since: Any = image.withdrawn_at
    if closing.was_closed(image.lesion, out_since):
        moves.require_followed(image.lesion)


def _corrected_by(record: Any) -> Any:
    """The entry that a withdrawn one corrected; None if there was none. Raises ValidationError if
    that entry no longer stands.
    """
    withdrawal = record.corrections.filter(before__has_key="supersedes").first()
    if withdrawal is None:
        return None
    corrected = type(record).objects.standing().filter(lesion=record.lesion_id)
    found = corrected.filter(pk=withdrawal.before["supersedes"]).first()
    if found is None:
        raise ValidationError(
            "The entry that this one corrects was itself corrected or withdrawn since. Put that "
            "right first."
        )
    return found


def _after(record: Record) -> None:
    """Update what remains: reminders, and pictures that are now neighbours."""
    if isinstance(record, LesionImage):
        follow([record], record.lesion)
    lesion = lesion_of(record)
    is_finding = isinstance(record, Histology)
    touch(patient_of(record), *([lesion] if lesion else []), reveals_finding=is_finding)


def _of(record: Record) -> dict[str, Any]:
    """A filter for the record's predictions."""
    match record:
        case Patient():
            return {"image__lesion__patient": record}
        case LesionImage():
            return {"image": record}
        case _:
            return {"image__lesion": lesion_of(record)}


def _require_place(record: Record, label: str) -> None:
    """Raise ValidationError with what prevents the restoration."""
    lesion = lesion_of(record)
    if not isinstance(record, Patient) and patient_of(record).is_withdrawn:
        raise ValidationError("Its patient is withdrawn. Put the patient back first.")
    if isinstance(record, LesionImage | Entry) and lesion and lesion.is_withdrawn:
        raise ValidationError("Its spot is withdrawn. Put the spot back first.")
    if isinstance(record, LesionImage):
        require_place(record)
    if isinstance(record, Patient) and record.clinic_id:
        others = Patient.objects.filter(clinic=record.clinic_id, label=label or record.label)
        if others.exists():
            raise ValidationError(
                {"label": "Another record of this clinic has this name now. Choose another name."}
            )
