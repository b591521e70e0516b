"""Write path of reminders for the next picture, and of the calendar link."""

from __future__ import annotations

import secrets
from datetime import date, timedelta

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.utils import timezone

from accounts.models import User
from screening.models import CalendarFeed, Interval, Lesion, Reminder
from screening.records.services import hold
from screening.reminders.schedule import due_on, months_after
from screening.write_access import require_writable

LONGEST_SNOOZE_MONTHS = 12
NO_CALENDAR = "Calendars belong to people. A key for one clinic has none."
SHUT_OUT = "The calendar would show records of a clinic that this key has no access to."


class Span(models.TextChoices):
    """Days that a reminder is snoozed if no day is given."""

    WEEK = "week", "1 week"
    MONTH = "month", "1 month"


@transaction.atomic
def set_reminder(*, user: User, lesion: Lesion, interval_months: int) -> Reminder:
    """Set a reminder this many months after the last picture, and clear any snooze.

    Restarts a stopped reminder. Raises ValidationError for an interval that is not offered.
    """
    require_writable(user=user, patient=lesion.patient)
    if interval_months not in Interval.values:
        raise ValidationError({"interval_months": "Choose 1, 3, 6 or 12 months."})
    hold(lesion)
    wanted = {
        "set_by": user,
        "interval_months": interval_months,
        "due_on": due_on(lesion, interval_months),
        "snoozed_until": None,
        "stopped_at": None,
    }
    return Reminder.objects.update_or_create(lesion=lesion, defaults=wanted)[0]


@transaction.atomic
def snooze_reminder(
    *, user: User, reminder: Reminder, span: str = "", until: date | None = None
) -> Reminder:
    """Postpone the due day once; the interval stays.

    span: one of ``Span``, counted from today or, if the reminder is not due yet, from its day. Or
    ``until``. Raises ValidationError for a day that is not later, and for a stopped reminder.
    """
    require_writable(user=user, patient=reminder.lesion.patient)
    reminder = Reminder.objects.select_for_update().get(pk=reminder.pk)
    if not reminder.is_active:
        raise ValidationError("This reminder was stopped. Set it again first.")
    first = max(timezone.localdate(), reminder.rings_on)
    if until is None:
        until = _after(first, span)
    elif until <= max(timezone.localdate(), reminder.due_on):
        raise ValidationError({"until": "Choose a day after today and after the day it is due."})
    if until > months_after(timezone.localdate(), LONGEST_SNOOZE_MONTHS):
        raise ValidationError({"until": "Put it off by a year at most, or stop it."})
    reminder.snoozed_until = until
    reminder.save(update_fields=["snoozed_until", "modified"])
    return reminder


@transaction.atomic
def stop_reminder(*, user: User, reminder: Reminder) -> Reminder:
    """Stop the reminder. Stopping it again keeps the first time stamp."""
    require_writable(user=user, patient=reminder.lesion.patient)
    now = timezone.now()
    Reminder.objects.active().filter(pk=reminder.pk).update(stopped_at=now, modified=now)
    reminder.refresh_from_db()
    return reminder


@transaction.atomic
def make_calendar_link(*, user: User) -> str:
    """Create a new secret link to the user's calendar and invalidate the earlier one.

    The secret is returned only here. A caller bound to a clinic has no calendar: it would reveal
    the person's own record. Nor has a key that a clinic of theirs shuts out: it would reveal that
    clinic's.
    """
    if user.bound_clinic is not None:
        raise PermissionDenied(NO_CALENDAR)
    shut = user.memberships.filter(clinic__requires_bound_keys=True)
    if user.uses_unbound_key and shut.exists():
        raise PermissionDenied(SHUT_OUT)
    secret = secrets.token_urlsafe(32)
    digest = CalendarFeed.digest(secret)
    CalendarFeed.objects.update_or_create(user=user, defaults={"secret_sha256": digest})
    return secret


def revoke_calendar_link(*, user: User) -> None:
    """Invalidate the link to the user's calendar."""
    if user.bound_clinic is not None:
        raise PermissionDenied(NO_CALENDAR)
    CalendarFeed.objects.filter(user=user).delete()


def _after(first: date, span: str) -> date:
    if span == Span.WEEK:
        return first + timedelta(weeks=1)
    if span == Span.MONTH:
        return months_after(first, 1)
    raise ValidationError({"span": "Choose a week, a month, or a day."})
