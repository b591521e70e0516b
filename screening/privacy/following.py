"""Clinics that follow a person's own record: invited by its owner, accepted or declined by the
clinic, ended by the owner.

The owner names the clinic by its code, which the clinic gives to its patients: clinics cannot be
listed or guessed. The clinic's entries stay in the record after the end.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Clinic, User
from accounts.services import lock_person, plain_code
from screening.models import (
    OPEN_ERASURE,
    Erasure,
    ErasureState,
    Event,
    ExternalIdentifier,
    Following,
    Lesion,
    Patient,
    Share,
)
from screening.models.base import save_checked
from screening.models.visibility import PatientQuerySet
from screening.privacy import emails
from screening.records import closing
from screening.webhooks.outbox import announce

INVITATIONS_A_DAY = 10
OVER = "This invitation was answered or withdrawn in the meantime."


@transaction.atomic
def invite(*, user: User, patient: Patient, code: str) -> Following:
    """Invite the clinic with this code to the user's own record, and mail its admins after
    commit. Its members see the record only once one of them accepts.
    """
    lock_person(user)  # the invitations of the day are counted
    patient = _own(user, patient, Patient.objects.all())
    if patient.clinic_id is not None:
        raise ValidationError("A clinic follows this record already. Only one can at a time.")
    if patient.followings.waiting().exists():
        raise ValidationError("An invitation waits for an answer. Withdraw it first.")
    today = Q(created__gt=timezone.now() - timedelta(days=1))
    if Following.objects.filter(today, invited_by=user).count() >= INVITATIONS_A_DAY:
        raise ValidationError("Too many invitations for one day. Try again tomorrow.")
    clinic = Clinic.objects.exclude(code="").filter(code=plain_code(code)).first()
    if clinic is None:
        raise ValidationError(
            {"code": "No clinic has this code. Check it, or ask the clinic for a new one."}
        )
    following = Following.objects.create(patient=patient, clinic=clinic, invited_by=user)
    transaction.on_commit(partial(emails.tell_of_invitation, following))
    return following


@transaction.atomic
def accept(*, user: User, following: Following, label: str = "") -> Following:
    """Let the clinic follow the record from now on. label: what the clinic calls the patient;
    empty: as the owner does.

    What the owner's own visits settled or closed is open again, because the clinic decides. Raises
    ValidationError if another patient of the clinic has the label, or the invitation is over.
    """
    patient = _locked(following)
    _require_answerable(user, following)
    if patient.clinic_id is not None or patient.erasures.open().exists():
        raise ValidationError(OVER)
    patient.clinic = following.clinic
    label = label.strip() or patient.label
    if label != patient.label:
        following.label_before, patient.label = patient.label, label
    patient.full_clean()
    save_checked(patient, ["clinic", "label", "modified"])
    for lesion in Lesion.everything.filter(patient=patient).exclude(closed_on=None).order_by("pk"):
        closing.reopen_unless_removed(user=user, lesion=lesion)  # closed by the owner's visit
    following.accepted_at, following.accepted_by = timezone.now(), user
    following.save(update_fields=["accepted_at", "accepted_by", "label_before", "modified"])
    announce(
        Event.PATIENT_CREATED, clinic_id=following.clinic_id, owner_id=None, patient=patient.pk
    )
    announce(Event.PATIENT_CHANGED, clinic_id=None, owner_id=patient.owner_id, patient=patient.pk)
    transaction.on_commit(partial(emails.tell_of_answer, following))
    return following


@transaction.atomic
def decline(*, user: User, following: Following) -> Following:
    """Decline the invitation. The record stays the owner's alone, and the clinic sees nothing of
    it.
    """
    _locked(following)
    _require_answerable(user, following)
    _close(following, by=user)
    transaction.on_commit(partial(emails.tell_of_answer, following))
    return following


@transaction.atomic
def end(*, user: User, following: Following) -> Following:
    """Withdraw the invitation or, once accepted, take the record from the clinic at once: nothing
    of it is visible to its members, programs and links any more, and the clinic's identifiers go,
    with the label that it gave: the record is called as before. Ending it again changes nothing.
    The clinic may have withdrawn the record.
    """
    clinics = Erasure.objects.filter(clinic=following.clinic_id, state__in=OPEN_ERASURE)
    erasures = list(clinics.select_for_update().order_by("pk"))  # before the patient, as elsewhere
    patient = _own(user, following.patient, Patient.everything.all())
    _refresh(following)
    if following.ended_at is not None:
        return following
    is_followed = Following.objects.standing().filter(pk=following.pk).exists()
    label = owners_label(patient)
    _close(following, by=user)
    if following.accepted_at is not None:
        _forget(patient, following.clinic_id, erasures)
    if not is_followed:
        return following
    now = timezone.now()
    patient.clinic, patient.label = None, label
    patient.save(update_fields=["clinic", "label", "modified"])
    links = Share.objects.filter(patient=patient, revoked_at=None)
    links.exclude(shared_by=user).update(revoked_at=now)
    asked = Erasure.objects.filter(patient=patient, state=ErasureState.ASKED)
    asked.update(state=ErasureState.UNDONE)
    announce(
        Event.PATIENT_WITHDRAWN, clinic_id=following.clinic_id, owner_id=None, patient=patient.pk
    )
    announce(Event.PATIENT_CHANGED, clinic_id=None, owner_id=user.pk, patient=patient.pk)
    transaction.on_commit(partial(emails.tell_of_end, following))
    return following


def owners_label(patient: Patient) -> str:
    """What the owner called the record before the clinic that follows it gave it another label."""
    labels = patient.followings.standing().values_list("label_before", flat=True)
    return labels.first() or patient.label


def _forget(patient: Patient, clinic_id: UUID, erasures: list[Erasure]) -> None:
    """Delete the clinic's identifiers, and keep the clinic from coming back if its erasure is
    undone.
    """
    of = ExternalIdentifier.of_patients([patient.pk])
    ExternalIdentifier.objects.filter(of, clinic=clinic_id).delete()
    for erasure in erasures:
        if erasure.state == ErasureState.PENDING and str(patient.pk) in erasure.parted:
            erasure.parted = [pk for pk in erasure.parted if pk != str(patient.pk)]
            erasure.save(update_fields=["parted", "modified"])


def _own(user: User, patient: Patient, of: PatientQuerySet) -> Patient:
    """The user's own record among ``of``, locked. Raises PermissionDenied if it is not theirs."""
    if user.bound_clinic is not None or patient.owner_id != user.pk:
        raise PermissionDenied("Only the person whose record it is decides which clinic follows.")
    found = of.select_for_update(no_key=True).filter(pk=patient.pk, owner=user).first()
    if found is None:
        raise ValidationError("This record is gone.")
    return found


def _locked(following: Following) -> Patient:
    """The record, locked so that nobody else answers or ends the invitation meanwhile. All code
    locks the patient before the following.
    """
    found = Patient.objects.select_for_update(no_key=True).filter(pk=following.patient_id).first()
    if found is None:
        raise ValidationError(OVER)
    _refresh(following)
    return found


def _refresh(following: Following) -> None:
    following.refresh_from_db(from_queryset=Following.objects.select_for_update())


def _require_answerable(user: User, following: Following) -> None:
    if not following.is_waiting:
        raise ValidationError(OVER)
    if not Following.objects.answerable_by(user).contains(following):
        raise PermissionDenied("Only a clinician or an admin of the clinic answers for it.")


def _close(following: Following, *, by: User) -> None:
    following.ended_at, following.ended_by = timezone.now(), by
    following.save(update_fields=["ended_at", "ended_by", "modified"])
