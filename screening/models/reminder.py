from __future__ import annotations

import hashlib
from datetime import date, timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.lesion import Lesion
from screening.models.patient import Patient


class Interval(models.IntegerChoices):
    ONE = 1, "Every month"
    THREE = 3, "Every 3 months"
    SIX = 6, "Every 6 months"
    TWELVE = 12, "Every year"


class Standing(models.TextChoices):
    """The status of a reminder on a given day. Every reminder has exactly one."""

    OVERDUE = "overdue", "Overdue"
    DUE = "due", "Due"
    COMING = "coming", "Coming up"
    STOPPED = "stopped", "Stopped"


OVERDUE_AFTER = timedelta(days=14)
"""Two weeks of tolerance: nobody takes every picture on the exact day."""


class ReminderQuerySet(models.QuerySet["Reminder"]):
    def visible_to(self, user: User) -> ReminderQuerySet:
        patients = Patient.objects.visible_to(user)
        return self.filter(lesion__withdrawn_at=None, lesion__patient__in=patients)

    def present(self) -> ReminderQuerySet:
        """Reminders whose lesion and patient are not withdrawn."""
        return self.filter(lesion__withdrawn_at=None, lesion__patient__withdrawn_at=None)

    def active(self) -> ReminderQuerySet:
        """Reminders that nobody stopped, of lesions that are followed."""
        return self.filter(stopped_at=None, lesion__closed_on=None)

    def due(self, on: date) -> ReminderQuerySet:
        """Active reminders whose day has come and that are not snoozed past today."""
        return self.active().ringing().filter(Q(rings_on__lte=on))

    def overdue(self, on: date) -> ReminderQuerySet:
        """Reminders that have been due for more than ``OVERDUE_AFTER``."""
        return self.due(on - OVERDUE_AFTER - timedelta(days=1))

    def standing(self, standing: str, on: date) -> ReminderQuerySet:
        """``Reminder.standing`` in SQL."""
        if standing == Standing.OVERDUE:
            return self.overdue(on)
        if standing == Standing.DUE:
            return self.due(on).filter(Q(rings_on__gte=on - OVERDUE_AFTER))
        if standing == Standing.COMING:
            return self.active().ringing().filter(Q(rings_on__gt=on))
        return self.exclude(stopped_at=None)

    def ringing(self) -> ReminderQuerySet:
        """Annotate ``rings_on``, the effective due day: the snoozed day if there is one."""
        put_off = Greatest(F("due_on"), Coalesce(F("snoozed_until"), F("due_on")))
        return self.alias(rings_on=put_off)

    def unmailed(self) -> ReminderQuerySet:
        """Reminders of ``ringing`` that no mail has announced for this due day."""
        return self.ringing().filter(Q(mailed_for=None) | Q(mailed_for__lt=F("rings_on")))

    def addressed_to(self, user: User) -> ReminderQuerySet:
        """Reminders of the user's own record, and those the user set for a clinic's patient."""
        own, set_here = Q(lesion__patient__owner=user), Q(lesion__patient__owner=None, set_by=user)
        return self.visible_to(user).filter(own | set_here)


class Reminder(UUIDModel):
    """When the next image of a lesion is due. A stopped reminder stays in the record."""

    lesion = models.OneToOneField(Lesion, on_delete=models.PROTECT, related_name="reminder")
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reminders"
    )
    interval_months = models.PositiveSmallIntegerField(choices=Interval)
    due_on = models.DateField()
    snoozed_until = models.DateField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, editable=False)
    mailed_for = models.DateField(
        null=True, editable=False, help_text="The due day that the last mail was about."
    )
    mailing_since = models.DateTimeField(
        null=True, editable=False, help_text="When a process claimed it to send the mail."
    )

    objects = ReminderQuerySet.as_manager()

    class Meta:
        ordering = ["due_on", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(interval_months__in=Interval.values), name="interval_is_offered"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lesion}, {self.due_on}"

    @property
    def public_name(self) -> str:
        """The name used in mails and calendars: labels that people chose. Reads
        ``lesion.patient``.
        """
        patient = self.lesion.patient
        return str(self.lesion) if patient.owner_id else f"{self.lesion} ({patient})"

    @property
    def rings_on(self) -> date:
        """The effective due day: the snoozed day if there is one."""
        return max(self.due_on, self.snoozed_until or self.due_on)

    @property
    def is_active(self) -> bool:
        return self.stopped_at is None

    @property
    def standing(self) -> Standing:
        today = timezone.localdate()
        if not self.is_active:
            return Standing.STOPPED
        if self.rings_on > today:
            return Standing.COMING
        return Standing.OVERDUE if self.rings_on < today - OVERDUE_AFTER else Standing.DUE


class CalendarFeed(UUIDModel):
    """The private link to a person's reminders as a calendar. Only the SHA-256 of its secret is
    stored.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="calendar_feed"
    )
    secret_sha256 = models.CharField(max_length=64, unique=True, editable=False)

    def __str__(self) -> str:
        return f"calendar of {self.user}"

    @staticmethod
    def digest(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()
