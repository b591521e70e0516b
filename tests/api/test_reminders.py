"""Reminders, the calendar link and the reports over the API: the same rules as on the pages."""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO

import pytest
from django.utils import timezone
from pypdf import PdfReader

from accounts import services
from screening.models import Reminder
from tests.api.conftest import pointers
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    ReminderFactory,
)
from tests.privacy.entries import looks_at

API = "/api/v1"
LIST = f"{API}/reminders/"
CALENDAR = f"{API}/calendar-feed/"


def ids(client, **query):
    response = client.get(LIST, query)
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


def test_set_put_off_and_stop(clinician, lesion):
    LesionImageFactory(lesion=lesion, captured_on=date(2026, 1, 31))
    made = clinician.post(LIST, {"lesion": str(lesion.pk), "interval_months": 1})
    assert made.status_code == 201
    body = made.json()
    assert (body["due_on"], body["rings_on"]) == ("2026-02-28", "2026-02-28")
    assert body["patient"] == str(lesion.patient_id)
    assert body["set_by"] == "clinician@north.example.org"
    until = str(timezone.localdate() + timedelta(days=30))
    later = clinician.post(f"{LIST}{body['id']}/snooze/", {"until": until}).json()
    assert (later["rings_on"], later["standing"]) == (until, "coming")
    stopped = clinician.post(f"{LIST}{body['id']}/stop/").json()
    assert stopped["standing"] == "stopped"
    again = clinician.post(LIST, {"lesion": str(lesion.pk), "interval_months": 12}).json()
    assert (again["id"], again["stopped_at"]) == (body["id"], None)


def test_what_is_wrong_is_refused_by_its_field(clinician, lesion):
    wrong = clinician.post(LIST, {"lesion": str(lesion.pk), "interval_months": 2})
    assert set(pointers(wrong)) == {"/interval_months"}
    reminder = ReminderFactory(lesion=lesion)
    address = f"{LIST}{reminder.pk}/snooze/"
    assert set(pointers(clinician.post(address, {"until": "2020-01-01"}))) == {"/until"}
    assert set(pointers(clinician.post(address, {"span": "decade"}))) == {"/span"}
    assert set(pointers(clinician.post(address, {}))) == {"/span"}
    assert set(pointers(clinician.post(address, {"days": 3}))) == {"/days"}


def test_lists_narrow_by_where_they_stand_and_whose_they_are(personas, clinician, lesion):
    today = timezone.localdate()
    due = ReminderFactory(lesion=lesion, due_on=today)
    other = LesionFactory(patient=personas.patient)
    coming = ReminderFactory(lesion=other, due_on=today + timedelta(days=1))
    ReminderFactory(lesion__patient=personas.own_patient)
    assert set(ids(clinician)) == {str(due.pk), str(coming.pk)}
    assert ids(clinician, standing="due") == [str(due.pk)]
    assert ids(clinician, lesion=other.pk) == [str(coming.pk)]
    assert len(ids(clinician, patient=personas.patient.pk, clinic=personas.clinic.pk)) == 2
    refused = clinician.get(LIST, {"standing": "late"})
    assert set(pointers(refused)) == {"standing"}


def test_a_lesion_tells_its_reminder_and_what_fits(clinician, lesion):
    PredictionFactory(image__lesion=lesion, outcome="see_doctor")
    body = clinician.get(f"{API}/lesions/{lesion.pk}/reminder/").json()
    assert body["reminder"] is None
    assert body["suggestion"]["interval_months"] == 1
    assert "see it first" in body["suggestion"]["reason"]
    ReminderFactory(lesion=lesion)
    body = clinician.get(f"{API}/lesions/{lesion.pk}/reminder/").json()
    assert body["reminder"]["interval_months"] == 3


def test_a_page_of_reminders_costs_few_queries(personas, clinician, django_assert_max_num_queries):
    for _ in range(30):
        ReminderFactory(lesion=LesionFactory(patient=personas.patient))
    with django_assert_max_num_queries(6):
        assert len(ids(clinician)) == 30


def test_the_calendar_link_is_told_once_and_can_be_revoked(client, clinician, personas):
    assert clinician.get(CALENDAR).json() == {"made_at": None, "address": None}
    made = clinician.post(CALENDAR)
    assert made.status_code == 201
    assert "no-store" in made["Cache-Control"]
    path = made.json()["address"].removeprefix("http://testserver")
    assert client.get(path).content.startswith(b"BEGIN:VCALENDAR")
    told = clinician.get(CALENDAR).json()
    assert (told["address"], told["made_at"] is None) == (None, False)
    assert clinician.delete(CALENDAR).status_code == 204
    assert client.get(path).status_code == 404


def test_a_key_that_is_bound_to_a_clinic_has_no_calendar(personas, client_of):
    client = client_of(personas.clinician)
    personas.clinician.api_keys.update(clinic=personas.clinic)
    assert client.post(CALENDAR).status_code == 403
    assert client.delete(CALENDAR).status_code == 403


@pytest.mark.parametrize(("held", "status"), [("reminders:read", 200), ("lesions:read", 403)])
def test_reminders_need_their_own_scope(personas, client_of, held, status):
    client = client_of(personas.clinician)
    _, secret = services.create_api_key(user=personas.clinician, name="narrow", scopes=[held])
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert client.get(LIST).status_code == status
    assert client.post(CALENDAR).status_code == 403


def test_what_is_to_be_seen_only_is_not_changed(personas, client_of, lesion):
    reminder = ReminderFactory(lesion=lesion)
    viewer = client_of(personas.viewer)
    assert viewer.post(f"{LIST}{reminder.pk}/stop/").status_code == 403
    stranger = client_of(personas.stranger)
    assert stranger.post(f"{LIST}{reminder.pk}/stop/").status_code == 404
    assert Reminder.objects.get().is_active


def test_reports_come_as_pdf_and_are_logged(personas, clinician, lesion):
    image = PredictionFactory(image__lesion=lesion, outcome="see_doctor").image
    for address in (f"lesions/{lesion.pk}", f"patients/{lesion.patient_id}"):
        response = clinician.get(f"{API}/{address}/report/", HTTP_ACCEPT="application/pdf")
        assert response.status_code == 200
        assert response["Content-Type"] == "application/pdf"
        assert PdfReader(BytesIO(response.getvalue())).pages
    assert len(looks_at(image, actor=personas.clinician.pk)) == 2
