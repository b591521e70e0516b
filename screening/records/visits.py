"""Write path of visits to a doctor, as the person reports them, and of the closing that follows.

Functions as in ``screening.records.services``.
"""

from __future__ import annotations

from datetime import date, datetime

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.models import User
from screening.models import DoctorVisit, Event, Finding, Lesion, Patient
from screening.predictions import arrivals
from screening.records import closing, plausibility
from screening.records.services import hold
from screening.webhooks.outbox import announce_about

STILL_THERE = (Finding.WATCH, Finding.BIOPSY)
"""Findings on a lesion that was not removed."""
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
    supersedes: DoctorVisit | None = None,
    shown_at: datetime | None = None,
) -> DoctorVisit:
    """Record what the doctor said. It settles the outcome of the pictures up to that day, and
    closes a removed lesion. On a record that a clinic follows, it does neither.

    supersedes: the standing visit that this one corrects. shown_at: see ``Settling``; None if the
    user was shown everything. Raises ValidationError for a day in the future, and for a superseded
    visit that does not stand on this lesion.
    """
    if not may_record(user, lesion.patient):
        raise PermissionDenied(ONLY_ONES_OWN)
    plausibility.require_past_day(
        visited_on, lesion.patient, field="visited_on", what="The day of the visit"
    )
    # The clinic cannot leave or join the record until this transaction ends.
    patient = Patient.objects.select_for_update(no_key=True).get(pk=lesion.patient_id)
    hold(lesion)
    if supersedes is not None and not lesion.visits.standing().contains(supersedes):
        raise ValidationError({"supersedes": "That visit no longer stands for this lesion."})
    visit = DoctorVisit(
        lesion=lesion,
        recorded_by=user,
        visited_on=visited_on,
        finding=finding,
        note=note.strip(),
        settles=patient.clinic_id is None,
        supersedes=supersedes,
        shown_at=arrivals.shown(lesion, shown_at, user),
        created=arrivals.next_moment(lesion),
    )
    visit.full_clean()
    visit.save()
    if supersedes is not None:
        closing.reopen_unless_removed(user=user, lesion=lesion, besides=visit)
    if finding == Finding.REMOVED and visit.settles:
        closing.close(user=user, lesion=lesion, on=visited_on)
    if finding in STILL_THERE:
        closing.reopen_if_there_after(visited_on, user=user, lesion=lesion)
    lesion.save(update_fields=["modified"])
    announce_about(lesion.patient, Event.LESION_CHANGED, lesion=lesion.pk)
    return visit
