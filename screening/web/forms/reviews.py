"""Forms for clinicians: conclusions, histology, and filters of the worklist."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.http import QueryDict

from accounts.models import Clinic, User
from accounts.roles import REVIEWERS
from screening.formatting import day
from screening.models import Conclusion, Histology, Management, Outcome, Review
from screening.models.histology import DIAGNOSES
from screening.reviews.worklist import Reason, Reviewed
from screening.web.forms.choices import offer
from screening.web.forms.days import DayField
from screening.web.forms.settling import EntryForm, SettlingForm


class ReviewForm(SettlingForm):
    """replaceable: standing reviews that this one may supersede; the field appears only if there
    are any. symptoms: marked on the lesion. A clinician who chooses only to watch such a lesion is
    asked whether they considered them, and the signed note records it.
    """

    conclusion = forms.ChoiceField(choices=Conclusion.choices, widget=forms.RadioSelect)
    management = forms.ChoiceField(
        label="What is to be done", choices=Management.choices, widget=forms.RadioSelect
    )
    removed_on = DayField(
        required=False,
        label="Removed on",
        help_text="Only if it is removed already. Leave empty if you do not know the day.",
    )
    note = forms.CharField(
        max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(
        self, *args: Any, replaceable: list[Review], symptoms: list[str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.symptoms = ", ".join(symptoms)
        if symptoms:
            self.fields["considered"] = forms.BooleanField(
                required=False, label=f"Symptom considered: {self.symptoms}"
            )
        if replaceable:
            by_pk = {str(review.pk): review for review in replaceable}
            beside = ("", "No: it stands beside what others concluded")
            self.fields["supersedes"] = forms.TypedChoiceField(
                choices=[beside, *((pk, str(review)) for pk, review in by_pk.items())],
                coerce=by_pk.get,
                empty_value=None,
                required=False,
                label="Does it supersede a colleague's?",
            )

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        considered = cleaned.pop("considered", True)
        if cleaned.get("management") not in (Management.NONE, Management.MONITOR):
            return cleaned
        if not considered:
            self.add_error(
                "considered",
                f"This lesion is marked as {self.symptoms}. Confirm that you have considered it, "
                "or choose what else is to be done.",
            )
        elif self.symptoms:
            word = f"Symptom considered: {self.symptoms}."
            cleaned["note"] = f"{cleaned.get('note', '')}\n{word}".strip()
        return cleaned


class HistologyForm(EntryForm):
    diagnosis = forms.ChoiceField(choices=[("", "Choose"), *DIAGNOSES])
    examined_on = DayField(help_text="The day of the pathologist's report.")
    breslow_mm = forms.DecimalField(
        required=False,
        min_value=Decimal("0.01"),
        max_value=Decimal("99.99"),
        decimal_places=2,
        label="Breslow thickness, in millimetres",
        help_text="Of an invasive melanoma only.",
        widget=forms.NumberInput(attrs={"step": "0.01", "inputmode": "decimal"}),
    )
    excised = forms.NullBooleanField(
        required=False,
        label="Was the whole lesion removed?",
        help_text="A lesion that was removed is closed: no reminders, no alerts.",
    )
    note = forms.CharField(
        max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    beside = "No: it is another finding"
    question = "Does it correct what was recorded?"

    @staticmethod
    def named(entry: Histology) -> str:
        return f"{entry}, examined {day(entry.examined_on)}"


class WorklistForm(forms.Form):
    """Filters of the worklist: sent by GET, all optional."""

    q = forms.CharField(required=False, max_length=80, label="Search")
    clinic = forms.ModelChoiceField(
        Clinic.objects.none(), required=False, empty_label="All of your clinics"
    )
    reviewed = forms.ChoiceField(
        choices=Reviewed.choices, required=False, label="Show", initial=Reviewed.WAITING
    )
    reason = forms.ChoiceField(choices=[("", "Any reason"), *Reason.choices], required=False)
    outcome = forms.ChoiceField(
        choices=[("", "Any outcome"), *Outcome.choices], required=False, label="Read as"
    )
    arrived_from = DayField(required=False, label="Arrived from")
    arrived_until = DayField(required=False, label="Arrived until")

    def __init__(self, data: QueryDict, *, user: User) -> None:
        super().__init__(data)
        clinics = Clinic.objects.with_member(user, REVIEWERS)
        offer(self, "clinic", clinics)

    @property
    def narrowing(self) -> dict[str, Any]:
        """Arguments for ``worklist.narrowed``: the valid filters."""
        self.is_valid()
        given = {name: value for name, value in self.cleaned_data.items() if value}
        if "q" in given:
            given["search"] = given.pop("q")
        return given

    @property
    def query(self) -> str:
        """The valid filters as a query string."""
        self.is_valid()
        kept = QueryDict(mutable=True)
        for name in self.fields:
            if self.cleaned_data.get(name):
                kept[name] = self.data[name]
        return f"?{kept.urlencode()}" if kept else ""

    @property
    def is_narrowed(self) -> bool:
        return bool(self.query)
