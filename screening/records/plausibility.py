"""Impossible years and days: those that contradict the calendar or one another.

They are rejected here wherever they come from (page, API, batch, DICOM), with a message for the
user. Nothing is clamped. Existing rows that break a newer rule are read with the age unknown
(``LesionImage.age``).
"""

from __future__ import annotations

from datetime import date, timedelta

from django.core.exceptions import ValidationError
from django.utils import timezone

from ml.types import MAX_AGE
from screening.models import DoctorVisit, Histology, LesionImage, Patient

GRACE = timedelta(days=1)
"""The person's time zone may already be a day ahead."""
FIRST_YEAR = 1950
"""The earliest year of a picture."""
FIRST_YEAR_OF_ACTS = 1900
"""The earliest year of a visit, a histology or a removal."""


def require_birth_year(patient: Patient) -> None:
    """Raise ValidationError for an impossible birth year, or one later than a recorded day."""
    if patient.birth_year is None:
        return
    why = wrong_birth_year(patient.birth_year) or _recorded_before(patient, patient.birth_year)
    if why:
        raise ValidationError({"birth_year": why})


def require_days(patient: Patient) -> None:
    """Raise ValidationError if a recorded day lies before the patient's birth, or if a picture was
    taken at an impossible age.
    """
    if patient.birth_year is None:
        return
    pictures = LesionImage.objects.present().filter(lesion__patient=patient).latest_first()
    last = pictures.first()
    why = _recorded_before(patient, patient.birth_year) or (
        wrong_age(last.captured_on, patient.birth_year) if last else ""
    )
    if why:
        raise ValidationError(why)


def require_capture_day(day: date, patient: Patient) -> None:
    why = wrong_capture_day(day) or wrong_age(day, patient.birth_year)
    if why:
        raise ValidationError({"captured_on": why})


def require_past_day(day: date, patient: Patient, *, field: str, what: str) -> None:
    """Raise ValidationError unless the day of something done to the patient is possible. what: the
    subject of the message, as in "The day of the visit".
    """
    why = ""
    if day > timezone.localdate() + GRACE:
        why = f"{what} lies in the future."
    elif day.year < FIRST_YEAR_OF_ACTS:
        why = f"{what} is too long ago."
    elif patient.birth_year is not None and day.year < patient.birth_year:
        why = f"{what} lies before the patient's birth in {patient.birth_year}."
    if why:
        raise ValidationError({field: why})


def wrong_birth_year(year: int) -> str:
    """Why the year is impossible; "" if it is possible."""
    if year > (timezone.localdate() + GRACE).year:
        return f"The birth year {year} lies in the future."
    oldest = timezone.localdate().year - MAX_AGE
    if year < oldest:
        return f"Give the birth year with four digits, from {oldest} on: {MAX_AGE} years at most."
    return ""


def wrong_capture_day(day: date) -> str:
    if day > timezone.localdate() + GRACE:
        return f"The day of capture, {_written(day)}, lies in the future."
    if day.year < FIRST_YEAR:
        return f"The day of capture, {_written(day)}, is too long ago."
    return ""


def wrong_age(day: date, birth_year: int | None) -> str:
    """Why nobody born in that year could be photographed on that day; "" if possible."""
    if birth_year is None:
        return ""
    if day.year < birth_year:
        return (
            f"The day of capture, {_written(day)}, lies before the patient's birth in {birth_year}."
        )
    if day.year - birth_year > MAX_AGE:
        return (
            f"Born in {birth_year}, the patient would be over {MAX_AGE} years old on "
            f"{_written(day)}. Correct the birth year, or the day."
        )
    return ""


def _recorded_before(patient: Patient, birth_year: int) -> str:
    first = date(birth_year, 1, 1)
    of = {"lesion__patient": patient, "lesion__withdrawn_at": None}
    images = LesionImage.objects.filter(captured_on__lt=first, **of)
    histologies = Histology.objects.standing().filter(examined_on__lt=first, **of)
    visits = DoctorVisit.objects.standing().filter(visited_on__lt=first, **of)
    for what, days in (
        ("A picture was taken on", images.latest_first().reverse().values_list("captured_on")),
        ("Histology is of", histologies.order_by("examined_on").values_list("examined_on")),
        ("A doctor was seen on", visits.order_by("visited_on").values_list("visited_on")),
    ):
        found = days.first()
        if found is not None:
            return f"{what} {_written(found[0])}, before this birth year. One of them is wrong."
    return ""


def _written(day: date) -> str:
    return f"{day.day} {day:%b} {day.year}"
