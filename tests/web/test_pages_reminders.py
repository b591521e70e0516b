"""The page of reminders, and the part of a lesion's page that sets one."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from screening.models import Reminder
from screening.reminders import services as reminder_services
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
    ReminderFactory,
)

pytestmark = pytest.mark.django_db

PAGE = reverse("reminders")


@pytest.fixture
def today():
    return timezone.localdate()


def due_in(days, patient, **fields):
    lesion = LesionFactory(patient=patient, label=f"Spot of {days} days")
    due_on = timezone.localdate() + timedelta(days=days)
    return ReminderFactory(lesion=lesion, due_on=due_on, **fields)


def text(client, user, **query):
    client.force_login(user)
    response = client.get(PAGE, query)
    assert response.status_code == 200
    return response.content.decode()


def test_a_warning_stands_beside_the_reminder_whatever_came_later(client, personas):
    reminder = due_in(-1, personas.patient)
    due_in(-2, personas.patient)
    for captured_on, outcome in (("2026-01-01", "urgent"), ("2026-02-01", "monitor")):
        image = LesionImageFactory(lesion=reminder.lesion, captured_on=captured_on)
        PredictionFactory(image=image, outcome=outcome)
    found = text(client, personas.viewer)
    rows = found.split('<li class="reminder-item">')[1:]
    assert [("outcome-urgent" in row) for row in rows] == ["Spot of -1 " in row for row in rows]
    assert "Picture of" in found


def test_what_is_overdue_stands_first(client, personas):
    for days in (30, -2, -40):
        due_in(days, personas.patient)
    due_in(-1, personas.patient, stopped_at=timezone.now())
    due_in(-5, personas.own_patient)
    found = text(client, personas.viewer)
    order = [
        "Overdue</h2>",
        "Spot of -40",
        "Due</h2>",
        "Spot of -2",
        "Coming up</h2>",
        "Spot of 30",
    ]
    places = [found.index(word) for word in order]
    assert places == sorted(places)
    assert "Spot of -1 days" not in found
    assert "Spot of -5 days" not in found
    assert "Add picture<span" not in found  # read-only users


def test_it_can_be_narrowed(client, personas):
    for days in (30, -2, -40):
        due_in(days, personas.patient)
    due_in(-1, personas.patient, stopped_at=timezone.now())
    found = text(client, personas.clinician, show="overdue")
    assert "Spot of -40 days" in found
    assert "Spot of -2 days" not in found
    assert "Spot of -1 days" in text(client, personas.clinician, show="stopped")
    assert "Spot of 30 days" in text(client, personas.clinician, show="nonsense")


def test_own_and_clinic_can_be_told_apart_where_there_are_both(client, personas):
    own = PatientFactory(own=True, owner=personas.clinician, clinic=None)
    due_in(-2, personas.patient)
    due_in(-3, own)
    assert "Whose reminders" in text(client, personas.clinician)
    mine = text(client, personas.clinician, whose="own")
    assert ("Spot of -3" in mine, "Spot of -2" in mine) == (True, False)
    theirs = text(client, personas.clinician, whose=str(personas.clinic.pk))
    assert ("Spot of -3" in theirs, "Spot of -2" in theirs) == (False, True)
    assert "Whose reminders" not in text(client, personas.viewer)
    foreign = text(client, personas.viewer, whose="own")
    assert "Spot of -2" in foreign


def test_an_empty_page_says_what_it_is_for(client, personas):
    found = text(client, personas.self_tracker)
    assert "No reminder is set" in found
    assert reverse("patient", args=[personas.own_patient.pk]) in found


def test_an_interval_is_set_from_the_lesion_page_as_suggested(client, personas, today):
    lesion = LesionFactory(patient=personas.patient)
    PredictionFactory(image__lesion=lesion, image__captured_on=today, outcome="monitor")
    client.force_login(personas.assistant)
    page = client.get(reverse("lesion", args=[lesion.pk])).content.decode()
    assert "Suggested: <strong>every 3 months</strong>" in page
    assert '<option value="3" selected>' in page
    address = reverse("lesion_reminder", args=[lesion.pk])
    answer = client.post(address, {"interval_months": "3"}, follow=True)
    assert "The next picture is due on" in answer.content.decode()
    assert Reminder.objects.get().interval_months == 3
    client.post(address, {"interval_months": ""})
    assert not Reminder.objects.active().exists()
    refused = client.post(address, {"interval_months": "5"}, follow=True)
    assert "Choose one of the intervals" in refused.content.decode()


def test_put_off_and_stop_lead_back_to_where_one_was(client, personas, today):
    reminder = due_in(-3, personas.patient)
    client.force_login(personas.clinician)
    snooze = reverse("reminder_snooze", args=[reminder.pk])
    assert client.post(snooze, {"span": "week", "from_list": "1"}).url == PAGE
    reminder.refresh_from_db()
    assert reminder.rings_on == today + timedelta(weeks=1)
    wrong = client.post(snooze, {"until": "2020-01-01"}, follow=True)
    assert "Choose a day after" in wrong.content.decode()
    assert "Enter a valid date" in client.post(snooze, {"until": "x"}, follow=True).content.decode()
    stop = client.post(reverse("reminder_stop", args=[reminder.pk]))
    assert stop.url.startswith(reverse("lesion", args=[reminder.lesion_id]))
    reminder.refresh_from_db()
    assert not reminder.is_active


def test_the_calendar_link_is_shown_once(client, personas):
    client.force_login(personas.self_tracker)
    made = client.post(reverse("calendar_link"))
    assert "no-store" in made["Cache-Control"]
    [url] = set(re.findall(r"http://testserver(/calendar/[\w-]+\.ics)", made.content.decode()))
    assert client.get(url).status_code == 200
    page = client.get(PAGE).content.decode()
    assert url not in page
    assert "Revoke the link" in page
    client.post(reverse("calendar_revoke"))
    assert client.get(url).status_code == 404
    assert "Make a calendar link" in client.get(PAGE).content.decode()


def test_home_says_how_many_are_due(client, personas):
    due_in(-3, personas.own_patient)
    due_in(3, personas.own_patient)
    client.force_login(personas.self_tracker)
    home = client.get(reverse("home")).content.decode()
    assert "1 new picture is due" in home
    reminder_services.stop_reminder(
        user=personas.self_tracker, reminder=Reminder.objects.earliest("due_on")
    )
    assert "is due" not in client.get(reverse("home")).content.decode()


def test_a_full_page_costs_as_many_queries_as_a_short_one(
    client, personas, django_assert_max_num_queries
):
    for days in range(-30, 30):
        LesionImageFactory(lesion=due_in(days, personas.patient).lesion)
    client.force_login(personas.clinician)
    with django_assert_max_num_queries(18):  # four for the lesions' outcomes, one for the audit log
        found = client.get(PAGE).content.decode()
    assert found.count('class="reminder-item"') == 50
