"""The calendar by private link: valid RFC 5545, stable, and only for people with the link."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.urls import reverse
from icalendar import Calendar

from accounts.models import Membership
from screening.models import CalendarFeed
from screening.reminders import services as reminder_services
from tests.factories import LesionFactory, ReminderFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def reminder(personas):
    lesion = LesionFactory(patient=personas.own_patient, label="Arm, left; near the elbow")
    return ReminderFactory(lesion=lesion, due_on=date(2026, 1, 31))


def fetched(client, secret):
    response = client.get(reverse("calendar", args=[secret]))
    assert response.status_code == 200
    assert response["Content-Type"] == "text/calendar; charset=utf-8"
    return response.content


def events(client, secret):
    return list(Calendar.from_ical(fetched(client, secret)).walk("VEVENT"))


def test_it_holds_a_whole_day_a_reminder_under_a_stable_uid(client, personas, reminder):
    secret = reminder_services.make_calendar_link(user=personas.self_tracker)
    [event] = events(client, secret)
    assert event["summary"] == "New picture: Arm, left; near the elbow"
    assert event["dtstart"].dt == date(2026, 1, 31)
    assert event["dtend"].dt == date(2026, 2, 1)
    assert event["dtstart"].params["value"] == "DATE"
    assert event["url"].endswith(reverse("lesion", args=[reminder.lesion_id]))
    reminder_services.snooze_reminder(user=personas.self_tracker, reminder=reminder, span="week")
    [later] = events(client, secret)
    assert later["uid"] == event["uid"]
    assert later["dtstart"].dt > event["dtstart"].dt
    assert later["dtstamp"].dt >= event["dtstamp"].dt


def test_its_lines_are_as_rfc_5545_wants_them(client, personas, reminder):
    reminder.lesion.label = "é" * 80
    reminder.lesion.save()
    text = fetched(client, reminder_services.make_calendar_link(user=personas.self_tracker))
    lines = text.split(b"\r\n")
    assert lines[-1] == b""
    assert all(b"\n" not in line and len(line) <= 75 for line in lines)
    assert lines[0] == b"BEGIN:VCALENDAR"
    for line in (b"VERSION:2.0", b"PRODID:-//SkinCheck//Reminders//EN"):
        assert line in lines


def test_a_stopped_reminder_is_not_in_it(client, personas, reminder):
    secret = reminder_services.make_calendar_link(user=personas.self_tracker)
    reminder_services.stop_reminder(user=personas.self_tracker, reminder=reminder)
    assert events(client, secret) == []


def test_of_a_clinic_it_holds_what_one_set_while_one_is_a_member(client, personas):
    mine = ReminderFactory(
        lesion=LesionFactory(patient=personas.patient), set_by=personas.clinician
    )
    ReminderFactory(lesion=LesionFactory(patient=personas.patient), set_by=personas.admin)
    secret = reminder_services.make_calendar_link(user=personas.clinician)
    [event] = events(client, secret)
    assert event["uid"].startswith(str(mine.pk))
    assert event["summary"].endswith("(N-1)")
    Membership.objects.filter(user=personas.clinician).delete()
    assert events(client, secret) == []


def test_a_new_link_closes_the_old_one_and_a_revoked_one_opens_nothing(client, personas, reminder):
    first = reminder_services.make_calendar_link(user=personas.self_tracker)
    second = reminder_services.make_calendar_link(user=personas.self_tracker)
    assert client.get(reverse("calendar", args=[first])).status_code == 404
    assert len(events(client, second)) == 1
    reminder_services.revoke_calendar_link(user=personas.self_tracker)
    assert client.get(reverse("calendar", args=[second])).status_code == 404


def test_a_closed_account_has_no_calendar(client, personas):
    secret = reminder_services.make_calendar_link(user=personas.self_tracker)
    personas.self_tracker.is_active = False
    personas.self_tracker.save()
    assert client.get(reverse("calendar", args=[secret])).status_code == 404


def test_the_secret_itself_is_not_stored(personas):
    secret = reminder_services.make_calendar_link(user=personas.self_tracker)
    [row] = CalendarFeed.objects.values()
    assert secret not in str(row)
    assert len(secret) >= 43


def test_it_costs_two_queries_and_the_audit_log(client, personas, django_assert_num_queries):
    for n in range(5):
        ReminderFactory(
            lesion=LesionFactory(patient=personas.own_patient),
            due_on=date(2026, 5, 1) + timedelta(days=n),
        )
    secret = reminder_services.make_calendar_link(user=personas.self_tracker)
    with django_assert_num_queries(3):
        assert len(events(client, secret)) == 5
