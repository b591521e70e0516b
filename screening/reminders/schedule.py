"""When the next picture of a lesion is due: a fixed number of months after the last capture."""

from __future__ import annotations

from calendar import monthrange
from datetime import date

from django.db import transaction
from django.utils import timezone

from screening.models import Lesion, Reminder


def months_after(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day if it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def due_on(lesion: Lesion, interval_months: int) -> date:
    """The due day, counted from the last image's day of capture or, without images, from today."""
    last = lesion.images.latest_first().first()
    return months_after(last.captured_on if last else timezone.localdate(), interval_months)


@transaction.atomic
def reschedule(lesion: Lesion) -> None:
    """Recompute an active reminder from the last capture, after a picture was added.

    Without an active reminder nothing changes. A picture from before the last capture changes
    nothing, not even a snooze.
    """
    reminder = Reminder.objects.active().select_for_update().filter(lesion=lesion).first()
    if reminder is None or not lesion.images.exists():
        return
    due = due_on(lesion, reminder.interval_months)
    if due != reminder.due_on:
        reminder.due_on, reminder.snoozed_until = due, None
        reminder.save(update_fields=["due_on", "snoozed_until", "modified"])
