from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import Clinic, User
from screening.models.base import UUIDModel
from screening.models.patient import Patient
from screening.models.webhook import Event

FINDINGS = (
    Event.PREDICTION_FINISHED,
    Event.PREDICTION_FAILED,
    Event.ALERT_OPENED,
    Event.REVIEW_RECORDED,
    Event.HISTOLOGY_CREATED,
    Event.HISTOLOGY_CHANGED,
    Event.HISTOLOGY_WITHDRAWN,
)
"""Events that reveal what a model, a colleague or a pathologist found."""


class AnnouncementQuerySet(models.QuerySet["Announcement"]):
    def visible_to(self, user: User) -> AnnouncementQuerySet:
        """Events of the patients that ``user`` may see, including withdrawn patients, and of
        batches.

        Withdrawals are included even if the patient is being erased or has left the clinic. Users
        who must conclude before seeing findings get no event about findings or what follows from
        them: by the time they may see them, the feed has moved on.
        """
        patients = Patient.everything.visible_to(user)
        theirs = Q(clinic__in=Clinic.objects.with_member(user))
        if user.bound_clinic is None:
            theirs |= Q(owner=user)
        hidden = Q(patient=None) | Q(event=Event.PATIENT_WITHDRAWN)
        found = self.filter(Q(patient__in=patients) | (hidden & theirs))
        if not user.reviews_blind:
            return found
        blind = Patient.everything.reviewed_blind_by(user)
        tells = Q(event__in=FINDINGS) | Q(reveals_finding=True)
        return found.exclude(tells, patient__in=blind)


class Announcement(UUIDModel):
    """An event in the change feed. Kept for thirty days."""

    event = models.CharField(max_length=20, choices=Event, editable=False)
    clinic = models.ForeignKey(
        Clinic, null=True, editable=False, on_delete=models.CASCADE, related_name="announcements"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.CASCADE,
        related_name="announcements",
    )
    patient = models.ForeignKey(
        Patient, null=True, editable=False, on_delete=models.CASCADE, related_name="announcements"
    )
    data = models.JSONField(default=dict, editable=False, help_text="Identifiers only.")

    reveals_finding = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Whether it reveals a finding, such as a lesion closed by a conclusion.",
    )

    objects = AnnouncementQuerySet.as_manager()

    class Meta:
        ordering = ["created", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(event__in=Event.values), name="announced_event_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.event
