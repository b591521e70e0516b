"""Forms for when the next picture is due."""

from __future__ import annotations

from typing import Any

from django import forms

from screening.models import Interval, Lesion, Reminder
from screening.reminders.services import Span
from screening.web.forms.days import DayField
from screening.web.forms.edit_form import EditForm


class ReminderForm(EditForm):
    """A lesion's reminder. Without an interval there is none."""

    @staticmethod
    def values_of(lesion: Lesion) -> dict[str, Any]:
        reminder: Reminder | None = getattr(lesion, "reminder", None)
        is_active = reminder is not None and reminder.is_active
        return {"interval_months": reminder.interval_months if reminder and is_active else None}

    interval_months = forms.TypedChoiceField(
        label="Remind me",
        choices=[("", "No reminder"), *Interval.choices],
        coerce=int,
        empty_value=None,
        required=False,
        error_messages={"invalid_choice": "Choose one of the intervals."},
    )


class SnoozeForm(forms.Form):
    """A span, or a day."""

    span = forms.ChoiceField(choices=Span.choices, required=False)
    until = DayField(required=False)
