"""What is shown beside a lesion's outcome: every page, report and interface shows all of it.

A program that reads only a mild outcome must also learn that a picture is unread, or that a removal
or a result is due.
"""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from django.urls import reverse
from pypdf import PdfReader
from rest_framework import serializers

from accounts import services
from ml import reader
from screening.api.fields import BesideStanding, StandingOutcome
from screening.predictions.outcomes import Awaited, Unread
from screening.privacy import sharing
from screening.records import queries as record_queries
from screening.reviews import services as review_services
from tests.clients import Program
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PredictionFactory,
    ReminderFactory,
    ReviewFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def lesion(personas):
    """Its first and its newest picture read "monitor"; the one between has no reading."""
    lesion = LesionFactory(patient=personas.patient, label="Left calf")
    ReminderFactory(lesion=lesion, due_on=date(2026, 4, 1), set_by=personas.clinician)
    for day in (1, 2, 3):
        image = LesionImageFactory(lesion=lesion, captured_on=date(2026, 3, day))
        if day != 2:
            PredictionFactory(image=image, outcome="monitor")
    return lesion


def between(lesion):
    return lesion.images.get(captured_on=date(2026, 3, 2))


def fails(lesion):
    PredictionFactory(image=between(lesion), failed=True)


def is_queued(lesion):
    PredictionFactory(image=between(lesion), queued=True)


def is_to_be_removed(lesion):
    PredictionFactory(image=between(lesion), outcome="monitor")
    ReviewFactory(image=between(lesion), management="excise")


WHAT = {
    Unread.NOT_READ: fails,
    Unread.BEING_READ: is_queued,
    Awaited.REMOVAL: is_to_be_removed,
}


class Surfaces:
    """What a clinician and their program get, by the name of the surface."""

    def __init__(self, client, user, lesion):
        self.client, self.user, self.lesion = client, user, lesion
        self.program = Program(services.create_api_key(user=user, name="test")[1])
        client.force_login(user)

    def pages(self):
        lesion, patient = self.lesion.pk, self.lesion.patient_id
        for name, *args in (
            ("lesion", lesion),
            ("patient", patient),
            ("worklist",),
            ("reminders",),
        ):
            yield name, self.client.get(reverse(name, args=args)).content.decode()
        about = {"patient": self.lesion.patient, "lesion": self.lesion}
        _, secret = sharing.share(user=self.user, recipient="Dr", days=1, **about)
        yield "shared", self.client.get(reverse("shared", args=[secret])).content.decode()
        for name, pk in (("lesion_report", lesion), ("patient_report", patient)):
            file = BytesIO(b"".join(self.client.get(reverse(name, args=[pk])).streaming_content))
            yield name, " ".join(page.extract_text() for page in PdfReader(file).pages)

    def interfaces(self):
        pk, get = self.lesion.pk, self.program.get
        yield "lesion", get(f"/api/v1/lesions/{pk}/").json()
        yield "lesions", get("/api/v1/lesions/").json()["results"][0]
        yield "worklist", get("/api/v1/worklist/?reviewed=all").json()["results"][0]

    def reports(self):
        pk, get = self.lesion.pk, self.program.get
        yield "DiagnosticReport", get(f"/fhir/R4/DiagnosticReport/{pk}").json()
        yield "search", get("/fhir/R4/DiagnosticReport").json()["entry"][0]["resource"]
        yield "summary", get(f"/fhir/R4/DiagnosticReport/{pk}?_summary=true").json()


@pytest.mark.parametrize("what", WHAT, ids=str)
def test_every_surface_tells_it(client, personas, lesion, what):
    WHAT[what](lesion)
    on = Surfaces(client, personas.clinician, lesion)
    for name, text in on.pages():
        assert what.label in " ".join(text.split()), name
    field = "unread" if isinstance(what, Unread) else "awaits"
    for name, item in on.interfaces():
        assert item[field] == what.value, name
    for name, report in on.reports():
        told = {one["url"].rpartition("/")[2]: one["valueCode"] for one in report["extension"]}
        assert told == {f"lesion-{field}": what.value}, name
        assert name == "summary" or what.label in report["conclusion"]


def test_no_surface_tells_it_where_there_is_nothing(client, personas, lesion):
    PredictionFactory(image=between(lesion), outcome="monitor")
    on = Surfaces(client, personas.clinician, lesion)
    for name, text in on.pages():
        assert not any(what.label in " ".join(text.split()) for what in (*Unread, *Awaited)), name
    for name, item in on.interfaces():
        assert (item["unread"], item["awaits"], item["earlier_outcome"]) == (None, None, None), name
    for name, report in on.reports():
        assert "extension" not in report, name


def test_an_earlier_and_more_severe_reading_is_told(client, personas, lesion):
    image = between(lesion)
    PredictionFactory(image=image, outcome="urgent", model_version="2026.11.2")
    PredictionFactory(image=image, outcome="monitor", model_version=reader.DEFAULT_VERSION)
    on = Surfaces(client, personas.clinician, lesion)
    for name, item in on.interfaces():
        assert item["earlier_outcome"] == "urgent", name


def test_whatever_has_a_standing_outcome_has_what_stands_beside_it():
    def subclasses(one):
        for each in one.__subclasses__():
            yield each
            yield from subclasses(each)

    telling = {
        each
        for each in subclasses(serializers.Serializer)
        if each.__module__.startswith("screening.")
        and any(isinstance(one, StandingOutcome) for one in each._declared_fields.values())
    }
    assert len(telling) >= 2
    assert all(issubclass(each, BesideStanding) for each in telling)
    for each in telling & set(subclasses(serializers.ModelSerializer)):
        assert BesideStanding._declared_fields.keys() <= set(each.Meta.fields)


def test_a_report_is_not_final_while_a_picture_is_unread(client, personas, lesion):
    first = lesion.images.latest_first().first()
    on = Surfaces(client, personas.clinician, lesion)
    said = {"conclusion": "nv", "management": "monitor"}
    review_services.record_review(user=personas.clinician, image=first, **said)
    assert dict(on.reports())["DiagnosticReport"]["status"] == "final"  # it settles those before
    LesionImageFactory(lesion=lesion, captured_on=date(2026, 3, 1))
    found = dict(on.reports())["DiagnosticReport"]
    assert (found["status"], found["extension"][0]["valueCode"]) == ("preliminary", "not_read")


def test_what_is_to_be_concluded_on_first_is_not_told_of(personas, lesion):
    """Users who conclude blind do not learn whether such a picture is read."""
    lesion.patient.clinic.review_before_reading = True
    lesion.patient.clinic.save(update_fields=["review_before_reading"])
    blind = MembershipFactory(clinic=lesion.patient.clinic, role="clinician").user
    [row] = record_queries.with_latest(type(lesion).objects.filter(pk=lesion.pk), blind)
    images = record_queries.timeline(lesion, blind)
    assert (row.unread, record_queries.standing_of(lesion, images, []).unread) == ("", "")
