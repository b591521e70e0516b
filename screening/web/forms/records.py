"""Forms for patients, lesions and visits. The rules are in the rooms' services."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import Clinic, User
from accounts.roles import WRITERS
from screening.formatting import day
from screening.models import (
    SYMPTOMS,
    BodySite,
    DoctorVisit,
    Finding,
    Lesion,
    Patient,
    Sex,
    SkinType,
)
from screening.web.forms.confirming import ask_to_confirm
from screening.web.forms.days import DayField
from screening.web.forms.edit_form import EditForm
from screening.web.forms.settling import EntryForm


class PatientForm(EditForm):
    label = forms.CharField(
        max_length=80,
        label="Name of the record",
        help_text="A pseudonym or number that you will recognise, not a real name.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    birth_year = forms.IntegerField(
        required=False,
        help_text="With the age, the software reads a little better.",
        widget=forms.NumberInput(attrs={"inputmode": "numeric", "placeholder": "e.g. 1968"}),
    )
    sex = forms.ChoiceField(choices=Sex.choices, required=False)
    skin_type = forms.ChoiceField(
        choices=SkinType.choices,
        required=False,
        help_text="How the skin reacts to sun (Fitzpatrick).",
    )

    @staticmethod
    def values_of(patient: Patient) -> dict[str, Any]:
        return {
            name: getattr(patient, name) for name in ("label", "birth_year", "sex", "skin_type")
        }


class NewPatientForm(PatientForm):
    """Also asks where the record belongs, if there is a choice."""

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinics = Clinic.objects.with_member(user, WRITERS)
        first = clinics.first()
        if first is None:
            self.fields["label"].initial = "My skin"
            self.fields["label"].help_text = "Only you see it. It need not be your real name."
        else:
            self.fields["clinic"] = forms.ModelChoiceField(
                clinics,
                required=False,
                initial=first.pk,
                label="Belongs to",
                empty_label="Myself: my own record",
                help_text="Everyone in the clinic sees its patients. Only you see your own record.",
            )
            ask_to_confirm(self, clinics)
        self.order_fields(["clinic"])


class LesionForm(EditForm):
    label = forms.CharField(
        max_length=80,
        required=False,
        label="Name",
        help_text="A few words that you will recognise, such as “left shoulder blade”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    body_site = forms.ChoiceField(
        choices=BodySite.choices,
        required=False,
        label="Body site",
        help_text="From the body map, unless you choose another. The software uses it.",
    )
    raised, bleeding, itching, changing = (
        forms.BooleanField(
            required=False,
            label=str(Lesion._meta.get_field(name).help_text),  # type: ignore[union-attr]
        )
        for name in SYMPTOMS
    )
    notes = forms.CharField(
        max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    grown_back = forms.BooleanField(
        required=False, label="Something has grown back in the scar: open this spot again"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.record is None or not self.record.is_closed:
            del self.fields["grown_back"]

    @staticmethod
    def values_of(lesion: Lesion) -> dict[str, Any]:
        return {name: getattr(lesion, name) for name in ("label", "body_site", "notes", *SYMPTOMS)}

    def symptom_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in SYMPTOMS]


class VisitForm(EntryForm):
    visited_on = DayField(label="When")
    finding = forms.ChoiceField(
        label="What did the doctor say?", choices=Finding.choices, widget=forms.RadioSelect
    )
    note = forms.CharField(
        max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    @staticmethod
    def named(entry: DoctorVisit) -> str:
        return f"{entry.get_finding_display()}, {day(entry.visited_on)}"
