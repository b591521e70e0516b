"""Forms of clinics that follow a record. The rules are in ``screening.privacy.following``."""

from __future__ import annotations

from django import forms


class InviteClinicForm(forms.Form):
    code = forms.CharField(
        max_length=20,
        label="The clinic's code",
        help_text="The clinic tells it to you, for example A1B2-C3D4-E5F6.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters"}),
    )


class AcceptForm(forms.Form):
    label = forms.CharField(
        required=False,
        max_length=80,
        label="What do you call this patient?",
        help_text="A pseudonym or number, not a name. Empty: as the person calls the record.",
    )
