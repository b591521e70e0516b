"""Write path of visits to a doctor, as the person reports them, and of the closing that follows.

Functions as in ``screening.records.services``.
"""

from __future__ import annotations

from datetime import date, datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts.models import User
from screening.models import DoctorVisit, Finding, Lesion, Patient
from screening.predictions import arrivals
from screening.records import plausibility
from screening.records.closing import close
from screening.records.services import hold

ONLY_ONES_OWN = "Visits to a doctor are entered by the person whose record it is."


def is_own(user: User, patient: Patient) -> bool:
    return patient.owner_id == user.pk


def may_record(user: User, patient: Patient) -> bool:
    """People enter visits on their own record; members of a clinic record conclusions instead."""
    return is_own(user, patient) and Patient.objects.writable_by(user).contains(patient)


@transaction.atomic
def record_visit(
    *,
    user: User,
    lesion: Lesion,
    visited_on: date,
    finding: str,
    note: str = "",
    shown_at: datetime | None = None,
) -> DoctorVisit:
    """Record what the doctor said. It settles what is told now of the pictures up to that day.

    shown_at: see ``Settling``; None if the user was shown all that there is now. Closes a lesion
    that was removed. Raises ValidationError for a day in the future.
    """
    if not may_record(user, lesion.patient):
        raise PermissionDenied(ONLY_ONES_OWN)
    plausibility.require_past_day(
        visited_on, lesion.patient, field="visited_on", what="The day of the visit"
    )
    hold(lesion)
    visit = DoctorVisit(
        lesion=lesion,
        recorded_by=user,
        visited_on=visited_on,
        finding=finding,
        note=note.strip(),
        shown_at=arrivals.shown(lesion, shown_at, user),
    )
    visit.full_clean()
    visit.save()
    if finding == Finding.REMOVED:
        close(user=user, lesion=lesion, on=visited_on)
    lesion.save(update_fields=["modified"])
    return visit
