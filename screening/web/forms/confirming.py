"""The confirmation that is asked before a clinic's first record."""

from __future__ import annotations

from django import forms

from accounts import agreements
from accounts.models import ClinicQuerySet


def ask_to_confirm(form: forms.Form, clinics: ClinicQuerySet) -> None:
    """Add the field, unless all these clinics have confirmed."""
    if not all(agreements.clinic_has_confirmed(clinic) for clinic in clinics):
        form.fields["confirms"] = forms.BooleanField(
            required=False,
            label=agreements.CONFIRMATION,
            help_text="Asked once, before a clinic's first record. SkinCheck is not for "
            "emergencies. Research is a consent of its own, on each record.",
        )
