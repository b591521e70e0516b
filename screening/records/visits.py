"""Write path of what a person says of visits to a doctor, and of closing a lesion.

Functions as in ``screening.records.services``.
"""

from __future__ import annotations

from datetime import date

from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts.models import User
from screening.models import DoctorVisit, Finding, Lesion, Patient
from screening.records import plausibility
from screening.records.closing import close
from screening.records.services import hold

ONLY_ONES_OWN = "Visits to a doctor are entered by the person whose record it is."


def is_own(user: User, patient: Patient) -> bool:
    return patient.owner_id == user.pk


def may_record(user: User, patient: Patient) -> bool:
    """A person enters visits on their own record; a clinic's members record conclusions."""
    return is_own(user, patient) and Patient.objects.writable_by(user).contains(patient)


@transaction.atomic
def record_visit(
    *, user: User, lesion: Lesion, visited_on: date, finding: str, note: str = ""
) -> DoctorVisit:
    """Post: what the doctor said stands, and settles what the pictures up to that day say.

    A lesion that was removed is closed. Raises ValidationError for a day to come.
    """
    if not may_record(user, lesion.patient):
        raise PermissionDenied(ONLY_ONES_OWN)
    plausibility.require_past_day(
        visited_on, lesion.patient, field="visited_on", what="The day of the visit"
    )
    hold(lesion)
    visit = DoctorVisit(
        lesion=lesion, recorded_by=user, visited_on=visited_on, finding=finding, note=note.strip()
    )
    visit.full_clean()
    visit.save()
    if finding == Finding.REMOVED:
        close(user=user, lesion=lesion, on=visited_on)
    lesion.save(update_fields=["modified"])
    return visit
