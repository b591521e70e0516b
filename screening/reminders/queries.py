"""Read path of reminders."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Case, F, IntegerField, OuterRef, Subquery, Value, When
from django.utils import timezone

from accounts.models import Clinic, User
from screening.models import LesionImage, Reminder, Standing
from screening.models.reminder import ReminderQuerySet

OWN = "own"
"""Selects reminders of the user's own record, among clinic identifiers."""


def reminders_of(user: User, whose: str = "") -> ReminderQuerySet:
    """Visible reminders by day, stopped ones last, with ``latest_image_id`` and
    ``last_captured_on``. whose: one of ``choices``; all reminders without it.
    """
    images = LesionImage.objects.filter(lesion=OuterRef("lesion")).latest_first()
    found = Reminder.objects.visible_to(user)
    if whose == OWN:
        found = found.filter(lesion__patient__owner=user)
    elif whose:
        found = found.filter(lesion__patient__clinic=UUID(whose))
    stopped = Case(When(stopped_at=None, then=Value(0)), default=1, output_field=IntegerField())
    return (
        found.ringing()
        .select_related("lesion__patient__clinic")
        .annotate(
            latest_image_id=Subquery(images.values("pk")[:1]),
            last_captured_on=Subquery(images.values("captured_on")[:1]),
        )
        .order_by(stopped, F("rings_on"), "pk")
    )


def choices(user: User) -> list[tuple[str, str]]:
    """The groups of reminders to choose from; empty if there is only one."""
    clinics = [(str(clinic.pk), str(clinic)) for clinic in Clinic.objects.with_member(user)]
    own = [(OWN, "My own")] if user.patients.exists() else []
    found = own + clinics
    return found if len(found) > 1 else []


def counts(reminders: ReminderQuerySet) -> list[tuple[Standing, int]]:
    """The number of reminders by standing."""
    today = timezone.localdate()
    return [(one, reminders.standing(one, today).count()) for one in Standing]


def due_count(user: User) -> int:
    return Reminder.objects.visible_to(user).due(timezone.localdate()).count()
