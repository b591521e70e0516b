from __future__ import annotations

from datetime import date

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.lesion import Lesion
from screening.models.patient import Patient


class Interval(models.IntegerChoices):
    ONE = 1, "Every month"
    THREE = 3, "Every 3 months"
    SIX = 6, "Every 6 months"
    TWELVE = 12, "Every year"


class ReminderQuerySet(models.QuerySet["Reminder"]):
    def visible_to(self, user: User) -> ReminderQuerySet:
        return self.filter(lesion__patient__in=Patient.objects.visible_to(user))

    def active(self) -> ReminderQuerySet:
        return self.filter(stopped_at=None)

    def due(self, on: date) -> ReminderQuerySet:
        """Active ones whose day has come, and which nobody has put off beyond it."""
        put_off = Greatest(F("due_on"), Coalesce(F("snoozed_until"), F("due_on")))
        return self.active().alias(rings_on=put_off).filter(rings_on__lte=on)


class Reminder(UUIDModel):
    """When the next image of a lesion is due. Stopped, it stays in the record."""

    lesion = models.OneToOneField(Lesion, on_delete=models.PROTECT, related_name="reminder")
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reminders"
    )
    interval_months = models.PositiveSmallIntegerField(choices=Interval)
    due_on = models.DateField()
    snoozed_until = models.DateField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, editable=False)
    mailed_for = models.DateField(
        null=True, editable=False, help_text="The day it was due when a mail was sent last."
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


class CalendarFeed(UUIDModel):
    """The private link to a person's reminders as a calendar. Only its secret's SHA-256 is kept."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="calendar_feed"
    )
    secret_sha256 = models.CharField(max_length=64, unique=True, editable=False)

    def __str__(self) -> str:
        return f"calendar of {self.user}"
