"""Forms for marks on comparisons and for closing alerts."""

from __future__ import annotations

from django import forms

from screening.models import ChangeMark


class ChangeMarkForm(forms.Form):
    verdict = forms.ChoiceField(
        label="What you saw",
        choices=[
            (ChangeMark.Verdict.UNCHANGED, "No, it looks the same"),
            (ChangeMark.Verdict.CHANGED, "Yes, it changed"),
        ],
        widget=forms.RadioSelect,
    )
    note = forms.CharField(
        max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class CloseAlertForm(forms.Form):
    reason = forms.CharField(max_length=400, label="Why it is closed")
