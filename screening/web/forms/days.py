"""The field for a day, picked from the browser's calendar."""

from __future__ import annotations

from django import forms


class DayField(forms.DateField):
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
