"""When the next picture of a lesion is due: always so many months after the last one captured."""

from __future__ import annotations

from calendar import monthrange
from datetime import date

from django.db import transaction
from django.utils import timezone

from screening.models import Lesion, Reminder


def months_after(day: date, months: int) -> date:
    """The same day of a later month; its last day where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def due_on(lesion: Lesion, interval_months: int) -> date:
    """Counted from the last image by day of capture or, without one, from today."""
    last = lesion.images.latest_first().first()
    return months_after(last.captured_on if last else timezone.localdate(), interval_months)


@transaction.atomic
def reschedule(lesion: Lesion) -> None:
    """After a picture was added. Post: an active reminder counts from the last one captured;
    without any it stays as it is.

    A picture of an earlier day than the last changes nothing, not even that it was put off.
    """
    reminder = Reminder.objects.active().select_for_update().filter(lesion=lesion).first()
    if reminder is None or not lesion.images.exists():
        return
    due = due_on(lesion, reminder.interval_months)
    if due != reminder.due_on:
        reminder.due_on, reminder.snoozed_until = due, None
        reminder.save(update_fields=["due_on", "snoozed_until", "modified"])
