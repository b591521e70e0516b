"""Forms for corrections. See ``screening.corrections``."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet

from screening.models import Lesion, LesionImage, Modality, Patient
from screening.web.forms.choices import offer
from screening.web.forms.days import DayField
from screening.web.forms.edit_form import EditForm

AT_ONCE = 100
"""With more patients than this, the form asks for a search first."""


def _reason(*, required: bool = False) -> forms.CharField:
    return forms.CharField(
        label="Reason",
        max_length=400,
        required=required,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class ImageDetailsForm(EditForm):
    captured_on = DayField(label="Taken on")
    captured_time = forms.TimeField(
        label="At",
        required=False,
        widget=forms.TimeInput(attrs={"type": "time", "step": "1"}, format="%H:%M:%S"),
        help_text="Tells apart two pictures of the same day.",
    )
    modality = forms.ChoiceField(label="Kind of picture", choices=Modality.choices)
    reason = _reason()

    @staticmethod
    def values_of(image: LesionImage) -> dict[str, Any]:
        return {name: getattr(image, name) for name in ("captured_on", "captured_time", "modality")}


class WithdrawForm(forms.Form):
    reason = _reason(required=True)


class KnowingForm(forms.Form):
    """findings: those on the pictures, to be acknowledged; if empty, the form does not ask."""

    acknowledged = forms.BooleanField(required=False, label="Go on with all of this")

    def __init__(self, *args: Any, findings: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if findings:
            self.fields["acknowledged"].help_text = findings
        else:
            del self.fields["acknowledged"]


class MoveImageForm(KnowingForm):
    """lesions: where the image may go."""

    field_order = ("lesion",)
    lesion = forms.ModelChoiceField(
        Lesion.objects.none(), label="To the spot", empty_label="Choose one"
    )
    reason = _reason()

    def __init__(self, *args: Any, lesions: QuerySet[Lesion], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "lesion", lesions)


class MergeLesionForm(KnowingForm):
    field_order = ("into",)
    into = forms.ModelChoiceField(
        Lesion.objects.none(), label="The spot to keep", empty_label="Choose one"
    )
    reason = _reason()

    def __init__(self, *args: Any, lesions: QuerySet[Lesion], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "into", lesions)


class _PatientField(forms.ModelChoiceField):
    def label_from_instance(self, patient: Any) -> str:
        return f"{patient} ({patient.clinic or 'own record'})"


class MoveLesionForm(KnowingForm):
    field_order = ("patient",)
    patient = _PatientField(
        Patient.objects.none(), label="To the patient", empty_label="Choose a patient"
    )
    reason = _reason()

    def __init__(self, *args: Any, patients: QuerySet[Patient], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "patient", patients)


class MergePatientForm(KnowingForm):
    field_order = ("into",)
    into = _PatientField(
        Patient.objects.none(), label="The record to keep", empty_label="Choose a patient"
    )
    reason = _reason()

    def __init__(
        self, *args: Any, patients: QuerySet[Patient], findings: str, **kwargs: Any
    ) -> None:
        asked = "Needed where birth year or sex of the two differ."
        super().__init__(*args, findings=f"{findings} {asked}".strip(), **kwargs)
        offer(self, "into", patients)


class UndoForm(KnowingForm):
    """label: asked only for a patient, whose name another record may have now."""

    label = forms.CharField(
        max_length=80,
        required=False,
        label="New name of the record",
        help_text="Only if another record has its name now.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, of_patient: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not of_patient:
            del self.fields["label"]
