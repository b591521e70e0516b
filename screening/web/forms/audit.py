"""Filters of a clinic's audit log: sent by GET, all optional."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.db.models import QuerySet
from django.http import QueryDict

from accounts.models import Clinic
from screening.models import Act, AuditEntry, Patient, Through
from screening.privacy import queries
from screening.web.forms.days import DayField

SOFTWARE, OTHERS = "software", "others"
_ACTS = (Act.READ, Act.WRITE)


class AuditForm(forms.Form):
    who = forms.ChoiceField(required=False)
    patient = forms.CharField(
        required=False,
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    act = forms.ChoiceField(
        required=False,
        label="What",
        choices=[("", "Anything"), *[(one.value, one.label) for one in _ACTS]],
    )
    first = DayField(required=False, label="From")
    last = DayField(required=False, label="Until")

    def __init__(self, data: QueryDict, *, clinic: Clinic) -> None:
        super().__init__(data)
        self._clinic = clinic
        members = clinic.memberships.select_related("user").order_by("created")
        who: Any = self.fields["who"]
        who.choices = [
            ("", "All people and programs"),
            *((str(one.user_id), str(one.user)) for one in members),
            (OTHERS, "Anyone who is not a member"),
            (SOFTWARE, "The software itself"),
        ]

    def narrowed(self) -> QuerySet[AuditEntry]:
        """The clinic's entries by the valid filters."""
        self.is_valid()
        said = self.cleaned_data
        found = queries.of_clinic(self._clinic)
        who = said.get("who", "")
        if who == SOFTWARE:
            found = found.filter(through=Through.WORKER)
        elif who == OTHERS:
            found = queries.by_nobody_of(self._clinic, found)
        elif who:
            found = found.filter(actor=UUID(who))
        else:
            found = queries.by_people(found)
        if label := said.get("patient"):
            patients = Patient.objects.filter(clinic=self._clinic).search(label)
            found = found & queries.about(list(patients.values_list("pk", flat=True)))
        if said.get("act"):
            found = found.filter(act=said["act"])
        return queries.between(found, said.get("first"), said.get("last"))

    @property
    def query(self) -> str:
        """The valid filters as a query string."""
        self.is_valid()
        kept = QueryDict(mutable=True)
        for name in self.fields:
            if self.cleaned_data.get(name):
                kept[name] = self.data[name]
        return f"?{kept.urlencode()}" if kept else ""
