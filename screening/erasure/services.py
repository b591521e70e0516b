"""Write path of erasure: asked for, confirmed, undone. ``eraser`` does it, 14 days later.

A record is erased when nobody has a right to it any more. Where the person and a clinic both have
one, whoever asks only leaves it: the other side keeps the record.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts import notices
from accounts.models import Clinic, Membership, User
from accounts.roles import REVIEWERS, Role
from accounts.services import lock_members, revoke_all_api_keys
from screening.formatting import day
from screening.models import (
    ACTIVE_BATCH,
    Batch,
    CalendarFeed,
    Erasure,
    ErasureState,
    Event,
    Ground,
    Histology,
    Lesion,
    LesionImage,
    Patient,
    Review,
    Share,
    Webhook,
)
from screening.models.base import save_checked
from screening.privacy import following
from screening.records import closing
from screening.webhooks.outbox import announce, announce_about

GRACE_DAYS = 14
HIDDEN_BECAUSE = "It is to be erased"


@transaction.atomic
def ask_for_account(*, user: User) -> Erasure:
    """Have the account erased with all that is only theirs. Until it is, they can undo it.

    Keys, links, webhooks, memberships and other sessions end at once, and stay ended. Raises
    ValidationError for the last admin of a clinic.
    """
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if user.erased_from is not None:
        raise ValidationError("The account is to be erased already.")
    _leave_clinics(user)
    due = timezone.now() + timedelta(days=GRACE_DAYS)
    asked = Erasure(user=user, asked_by=user, erased_from=due, mail_to=user.email)
    own = Patient.everything.select_for_update(no_key=True).filter(owner=user).order_by("pk")
    for patient in own:
        if patient.clinic_id:
            _part(asked, patient)
        elif not patient.erasures.open().exists():
            _hide(patient, by=user, due=due)
    asked.save()
    User.objects.filter(pk=user.pk).update(erased_from=due)
    _end_access(user)
    notices.tell_after_commit(user, "erasure_asked", due=due)
    return asked


@transaction.atomic
def ask_for_record(*, user: User, patient: Patient, ground: str = "") -> Erasure:
    """Have one record erased: by its owner or, with a ``ground``, by a clinic.

    Of a clinic, another person must confirm. Raises PermissionDenied for anyone else, and
    ValidationError while the clinic must keep the record.
    """
    patient = _locked(patient)
    if patient.erasures.open().exists():
        raise ValidationError("This record is to be erased already.")
    if patient.owner_id == user.pk and user.bound_clinic is None:
        return _ask_as_owner(user, patient)
    _require_clinician(user, patient.clinic)
    if ground not in Ground.values:
        raise ValidationError({"ground": "Say why it is erased."})
    require_retention_over(patient)
    return Erasure.objects.create(
        state=ErasureState.ASKED,
        patient=patient,
        clinic=patient.clinic,
        ground=ground,
        asked_by=user,
    )


@transaction.atomic
def confirm(*, user: User, erasure: Erasure) -> Erasure:
    """Confirm what a colleague asked for. The days to undo it begin. Raises ValidationError for
    whoever asked.
    """
    erasure = Erasure.objects.select_for_update().get(pk=erasure.pk)
    _require_clinician(user, erasure.clinic)
    if erasure.state != ErasureState.ASKED or erasure.patient is None:
        raise ValidationError("This erasure does not wait for anybody.")
    if erasure.asked_by_id == user.pk:
        raise ValidationError("Someone else must confirm what you asked for.")
    patient = _locked(erasure.patient)
    require_retention_over(patient)
    erasure.state, erasure.confirmed_by = ErasureState.PENDING, user
    erasure.erased_from = timezone.now() + timedelta(days=GRACE_DAYS)
    if patient.owner_id:
        erasure.patient = None
        _part(erasure, patient)
    else:
        _hide(patient, by=user, due=erasure.erased_from)
    erasure.save()
    return erasure


@transaction.atomic
def undo(*, user: User, erasure: Erasure) -> Erasure:
    """Cancel the erasure: the record is visible again. What ended at once stays ended."""
    erasure = Erasure.objects.select_for_update().get(pk=erasure.pk)
    if not Erasure.objects.visible_to(user).contains(erasure):
        raise PermissionDenied("This erasure is not yours.")
    if not erasure.may_be_undone:
        raise ValidationError("It is too late: this can no longer be undone.")
    for patient in _of(erasure):
        _show(patient)
    parted = Patient.everything.select_for_update(no_key=True).filter(pk__in=erasure.parted)
    for patient in parted.order_by("pk"):
        _rejoin(erasure, patient, user)
    if erasure.user_id is not None:
        User.objects.filter(pk=erasure.user_id).update(erased_from=None)
    erasure.state, erasure.mail_to, erasure.parted = ErasureState.UNDONE, "", []
    erasure.save()
    return erasure


def may_ask(user: User, patient: Patient) -> bool:
    """Whether ``user`` may ask for the record to be erased, as its owner or for its clinic."""
    if patient.owner_id == user.pk and user.bound_clinic is None:
        return True
    of = Clinic.objects.with_member(user, REVIEWERS)
    return patient.clinic_id is not None and of.filter(pk=patient.clinic_id).exists()


def kept_until(patient: Patient) -> date | None:
    """The day until which a clinic must keep the record: ``RETENTION_YEARS`` after its last entry.
    None for a record that no clinic has.
    """
    if patient.clinic_id is None:
        return None
    lesions = Lesion.everything.filter(patient=patient)
    images = LesionImage.everything.filter(lesion__in=lesions)
    entries: list[Any] = [
        lesions,
        images,
        Review.objects.filter(image__in=images),
        Histology.everything.filter(lesion__in=lesions),
    ]
    found = [rows.aggregate(last=Max("created"))["last"] for rows in entries]
    last = timezone.localdate(max([patient.created, *filter(None, found)]))
    year = last.year + settings.RETENTION_YEARS
    try:
        return last.replace(year=year)
    except ValueError:  # 29 February
        return date(year, 3, 1)


def is_retention_over(patient: Patient) -> bool:
    until = kept_until(patient)
    return until is None or until <= timezone.localdate()


def require_retention_over(patient: Patient) -> None:
    until = kept_until(patient)
    if until is not None and not is_retention_over(patient):
        years = settings.RETENTION_YEARS
        raise ValidationError(
            f"A clinic must keep this record until {day(until)}: {years} years after its last "
            "entry. Until then it can be withdrawn, not erased."
        )


def _ask_as_owner(user: User, patient: Patient) -> Erasure:
    due = timezone.now() + timedelta(days=GRACE_DAYS)
    asked = Erasure(asked_by=user, erased_from=due, mail_to=user.email)
    if patient.clinic_id:
        _part(asked, patient)
    else:
        asked.patient = patient
        _hide(patient, by=user, due=due)
    asked.save()
    notices.tell_after_commit(user, "erasure_asked", due=due)
    return asked


def _locked(patient: Patient) -> Patient:
    found = Patient.everything.select_for_update(no_key=True).filter(pk=patient.pk).first()
    if found is None:
        raise ValidationError("This record is gone.")
    return found


def _of(erasure: Erasure) -> list[Patient]:
    """The records that the erasure hides."""
    rows = Patient.everything.select_for_update(no_key=True).order_by("pk")
    if erasure.user_id:
        return [
            patient
            for patient in rows.filter(owner=erasure.user_id, erased_from=erasure.erased_from)
            if not patient.erasures.open().exists()
        ]
    return list(rows.filter(pk=erasure.patient_id)) if erasure.patient_id else []


def _hide(patient: Patient, *, by: User, due: Any) -> None:
    patient.erased_from = due
    if patient.withdrawn_at is None:
        patient.withdrawn_at, patient.withdrawn_by = timezone.now(), by
        patient.withdrawn_because = HIDDEN_BECAUSE
    patient.save()
    Share.objects.filter(patient=patient, revoked_at=None).update(revoked_at=timezone.now())
    announce_about(patient, Event.PATIENT_WITHDRAWN)


def _show(patient: Patient) -> None:
    """Raises ValidationError if another patient has its label now."""
    patient.erased_from = None
    if patient.withdrawn_because == HIDDEN_BECAUSE:
        patient.withdrawn_at, patient.withdrawn_by, patient.withdrawn_because = None, None, ""
    patient.full_clean()
    save_checked(patient)
    announce_about(patient, Event.PATIENT_CHANGED)


def _part(erasure: Erasure, patient: Patient) -> None:
    """Leave the record to the other side that has a right to it."""
    erasure.parted = [*erasure.parted, str(patient.pk)]
    announce(
        Event.PATIENT_WITHDRAWN,
        clinic_id=erasure.clinic_id,
        owner_id=None if erasure.clinic_id else erasure.asked_by_id,
        patient=patient.pk,
    )
    if erasure.clinic_id:
        patient.label = following.owners_label(patient)
        patient.clinic = None
    else:
        patient.owner = None
        shares = Share.objects.filter(patient=patient, shared_by=erasure.asked_by_id)
        shares.filter(revoked_at=None).update(revoked_at=timezone.now())
    patient.save(update_fields=["clinic", "owner", "label", "modified"])
    announce_about(patient, Event.PATIENT_CHANGED)


def _rejoin(erasure: Erasure, patient: Patient, user: User) -> None:
    if erasure.clinic_id and patient.clinic_id is None:
        patient.clinic = erasure.clinic
    elif not erasure.clinic_id and patient.owner_id is None:
        patient.owner = erasure.asked_by
    patient.full_clean()
    save_checked(patient)
    for lesion in Lesion.everything.filter(patient=patient).exclude(closed_on=None).order_by("pk"):
        closing.reopen_unless_removed(user=user, lesion=lesion)  # closed by a visit meanwhile
    announce_about(patient, Event.PATIENT_CHANGED)


def _leave_clinics(user: User) -> None:
    """Leave all clinics but those that are nobody else's: they go with the account. Raises
    ValidationError where nobody else could run the clinic.
    """
    held = Membership.objects.filter(user=user).select_related("clinic").order_by("clinic_id")
    for membership in held:
        clinic = membership.clinic
        lock_members(clinic.pk)
        others = clinic.memberships.of_people().exclude(user=user)
        is_last = membership.role == Role.ADMIN and not others.filter(role=Role.ADMIN).exists()
        if not is_last:
            membership.delete()
        elif others.exists() or Patient.everything.filter(clinic=clinic).exists():
            raise ValidationError(
                f"You are the only admin of {clinic}. Make someone else admin first."
            )


def _end_access(user: User) -> None:
    now = timezone.now()
    revoke_all_api_keys(user=user)
    Share.objects.filter(shared_by=user, revoked_at=None).update(revoked_at=now)
    CalendarFeed.objects.filter(user=user).delete()
    Webhook.objects.filter(owner=user, disabled_at=None).update(
        disabled_at=now, disabled_reason="The account is to be erased."
    )
    Batch.objects.filter(
        created_by=user, clinic=None, state__in=(*ACTIVE_BATCH, Batch.State.CHECKED)
    ).update(state=Batch.State.CANCELLED, lease_expires_at=None)


def end_other_sessions(*, user: User, session_key: str | None) -> None:
    others = UserSession.objects.filter(user=user).exclude(session_key=session_key)
    keys = list(others.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    others.delete()


def _require_clinician(user: User, clinic: Clinic | None) -> None:
    of = Clinic.objects.with_member(user, REVIEWERS)
    if clinic is None or not of.contains(clinic):
        raise PermissionDenied("Only a clinician or an admin of the clinic erases a patient.")
