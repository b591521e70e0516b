"""Undoing a correction: the same operations, reversed. An undo is a correction too."""

from __future__ import annotations

from datetime import date, time
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.models import User
from screening.corrections import merges, moves, services
from screening.corrections.journal import Record, note, require_author
from screening.models import (
    Correction,
    CorrectionKind,
    Lesion,
    LesionImage,
    Patient,
)
from screening.records import closing
from screening.records import services as record_services

_READ = {"captured_on": date.fromisoformat, "captured_time": time.fromisoformat}


@transaction.atomic
def undo(
    *, user: User, correction: Correction, label: str = "", acknowledged: bool = False
) -> Record:
    """Restore the values from before the correction. label: see ``services.restore``. acknowledged:
    the user knows what is ``at_stake``.

    Raises PermissionDenied if ``user`` may not undo it, and ValidationError if it can no longer be
    undone.
    """
    require_for(user, correction)
    record: Any = subject(correction)
    if not may_be_undone(correction):
        raise ValidationError("This can no longer be undone: something else has changed since.")
    moves.require_acknowledged(acknowledged, at_stake(correction, user))
    before: dict[str, Any] = correction.before
    placed_at = before.get("placed_at")
    if placed_at and record.placed_at > correction.created:  # moved or dated again since
        placed_at = None
    match correction.kind, record:
        case CorrectionKind.EDITED, LesionImage():
            fields: dict[str, Any] = {
                name: _READ[name](value) if value and name in _READ else value
                for name, value in before.items()
                if name != "placed_at"
            }
            image = services.correct_image(user=user, image=record, **fields)
            moves.put_back(image, placed_at, correction.created)
            return image
        case CorrectionKind.EDITED, Lesion() | Patient():
            return _edited_back(user, record, before)
        case CorrectionKind.MOVED, LesionImage():
            lesion, since = _there(Lesion, before["lesion"]), correction.created
            is_hidden = closing.was_closed(lesion, since) or moves.was_changed(record, since)
            image = moves.move_image(
                user=user,
                image=record,
                lesion=lesion,
                acknowledged=True,
                is_undone=not is_hidden,
            )
            moves.put_back(image, placed_at, correction.created)
            return image
        case CorrectionKind.MOVED, Lesion():
            patient = _there(Patient, before["patient"])
            called = {str(record.pk): [before.get("label", ""), correction.after.get("label")]}
            return moves.move_lesion(
                user=user, lesion=record, patient=patient, acknowledged=True, called=called
            )
        case _:
            return services.restore(
                user=user, record=record, label=label, acknowledged=acknowledged
            )


def at_stake(correction: Correction, user: User) -> str:
    """What the user must know before undoing it, in words: findings since then on the pictures that
    move with it, and pictures that do not move. Empty if there is nothing to know.
    """
    record: Any = subject(correction)
    match correction.kind, record:
        case CorrectionKind.MOVED, LesionImage():
            images = record.lesion.images.filter(pk=record.pk)
            return moves.findings_of(images, user, correction.created)
        case CorrectionKind.MOVED, Lesion():
            return moves.findings_of(record.images.all(), user, correction.created)
        case CorrectionKind.MERGED, _:
            return merges.at_stake(record, user)
    return ""


def may_be_undone(correction: Correction) -> bool:
    """Whether the record is still as the correction left it. Reads what ``subject`` returns."""
    record: Any = subject(correction)
    match correction.kind:
        case CorrectionKind.WITHDRAWN:
            return bool(record.is_withdrawn)
        case CorrectionKind.MERGED:
            return str(record.merged_into_id) == correction.after["merged_into"]
        case CorrectionKind.EDITED if "label" not in correction.after:  # a move may renumber it
            return not record.is_withdrawn and _holds(record, correction.after)
        case CorrectionKind.MOVED if correction.before:
            return not record.is_withdrawn and _is_where(record, correction.after)
    return False


def require_for(user: User, correction: Correction) -> None:
    """Raise PermissionDenied unless ``user`` may write the record and ``require_author`` lets
    them.
    """
    writable = Patient.everything.writable_by(user).contains(correction.patient)
    if not writable:
        raise PermissionDenied("You may look at this record, but not change it.")
    require_author(user, subject(correction))


def is_for(correction: Correction, user: User) -> bool:
    """Whether ``user``, who may write the record, may undo it: see ``require_author``."""
    try:
        require_author(user, subject(correction))
    except PermissionDenied:
        return False
    return True


def subject(correction: Correction) -> Record:
    """The corrected record: the lowest level that the correction names."""
    entry = correction.visit or correction.histology
    return correction.image or entry or correction.lesion or correction.patient


def _edited_back(user: User, record: Lesion | Patient, before: dict[str, Any]) -> Record:
    """Restore these details, and log a correction."""
    if isinstance(record, Patient):
        return record_services.edit_patient(user=user, patient=record, **before)
    unset = {name: getattr(record, name) for name in before if not getattr(record, name)}
    lesion = record_services.edit_lesion(user=user, lesion=record, **before)
    if unset:  # marking a symptom is not itself a correction
        since = {name: before[name] for name in unset}
        note(CorrectionKind.EDITED, lesion, user=user, before=unset, after=since)
    return lesion


def _holds(record: Any, fields: dict[str, Any]) -> bool:
    return all(_plain(getattr(record, name)) == value for name, value in fields.items())


def _is_where(record: Any, after: dict[str, str]) -> bool:
    if isinstance(record, LesionImage):
        return str(record.lesion_id) == after["lesion"]
    return str(record.patient_id) == after["patient"]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | time) else value


def _there(model: Any, pk: str) -> Any:
    found = model.objects.filter(pk=pk).first()
    if found is None:
        raise ValidationError("Where it was has been withdrawn. Put that back first.")
    return found
