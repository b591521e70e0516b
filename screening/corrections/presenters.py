"""A correction described in a sentence."""

from __future__ import annotations

from typing import Any

from screening.corrections.undo import subject
from screening.models import (
    Correction,
    CorrectionKind,
    DoctorVisit,
    Histology,
    LesionImage,
    Modality,
    Patient,
)

_FIELDS = {
    "captured_on": "day",
    "captured_time": "time",
    "modality": "kind",
    "birth_year": "birth year",
    "body_site": "body site",
    "skin_type": "skin type",
    "label": "name",
}
_DONE = {
    CorrectionKind.WITHDRAWN: "was withdrawn",
    CorrectionKind.RESTORED: "was put back",
    CorrectionKind.CLOSED: "was closed",
    CorrectionKind.REOPENED: "was opened again",
}


def in_words(correction: Correction) -> str:
    """What was done to which record. Reads what ``undo.subject`` returns."""
    kind = CorrectionKind(correction.kind)
    name = _name(subject(correction))
    match kind:
        case CorrectionKind.EDITED:
            return f"{name}: {_changes(correction)}."
        case CorrectionKind.MOVED:
            return f"{name} {_way(correction)}."
        case CorrectionKind.MERGED:
            return f"{name} was merged into {correction.after['label']}."
        case _:
            return f"{name} {_DONE[kind]}."


def _name(record: Any) -> str:
    match record:
        case LesionImage():
            return f"The picture of {_day(record.captured_on)}"
        case DoctorVisit():
            return f"The visit to a doctor of {_day(record.visited_on)}"
        case Histology():
            return f"The histology of {_day(record.examined_on)} ({record})"
        case Patient():
            return f"The record of {record}"
        case _:
            return str(record)


def _way(correction: Correction) -> str:
    """From where to where, without naming another patient's record."""
    of = "lesion" if correction.image_id else "patient"
    before, after = correction.before.get("label"), correction.after.get("label")
    if correction.image_id and before and after:
        return f"was moved from {before} to {after}"
    return f"was moved to another {of}" if correction.before else f"came from another {of}"


def _changes(correction: Correction) -> str:
    return "; ".join(
        f"{_FIELDS.get(name, name)} {_value(name, value)}, before "
        f"{_value(name, correction.before.get(name))}"
        for name, value in correction.after.items()
    )


def _value(name: str, value: Any) -> str:
    if value in (None, ""):
        return "not stated"
    if isinstance(value, bool):
        return "marked" if value else "not marked"
    if name == "modality":
        return str(Modality(value).label).lower()
    return str(value)


def _day(day: Any) -> str:
    return f"{day.day} {day:%b %Y}"
