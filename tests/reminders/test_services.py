"""Reminders: set, rescheduled by a picture, snoozed, stopped; suggestions; statuses."""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from screening.images import services as image_services
from screening.models import Reminder, Standing
from screening.predictions import outcomes
from screening.records import queries as record_queries
from screening.reminders import queries as reminder_queries
from screening.reminders import schedule, suggestions
from screening.reminders import services as reminder_services
from tests.factories import (
    AlertFactory,
    DoctorVisitFactory,
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    ReminderFactory,
    ReviewFactory,
    UserFactory,
    picture,
)


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 12, 1), 1, date(2027, 1, 1)),
        (date(2026, 11, 30), 3, date(2027, 2, 28)),
        (date(2026, 8, 31), 6, date(2027, 2, 28)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2026, 3, 15), 12, date(2027, 3, 15)),
    ],
)
def test_months_end_where_the_calendar_says(day, months, then):
    assert schedule.months_after(day, months) == then


@pytest.fixture
def lesion(personas):
    return LesionFactory(patient=personas.patient)


@pytest.fixture
def today():
    return timezone.localdate()


def test_due_counts_from_the_picture_captured_last(personas, lesion):
    LesionImageFactory(lesion=lesion, captured_on=date(2026, 1, 31))
    LesionImageFactory(lesion=lesion, captured_on=date(2025, 6, 1))
    reminder = reminder_services.set_reminder(
        user=personas.assistant, lesion=lesion, interval_months=1
    )
    assert (reminder.due_on, reminder.set_by) == (date(2026, 2, 28), personas.assistant)


def test_without_a_picture_due_counts_from_today(personas, lesion, today):
    reminder = reminder_services.set_reminder(
        user=personas.clinician, lesion=lesion, interval_months=12
    )
    assert reminder.due_on == schedule.months_after(today, 12)


def test_a_new_picture_moves_it_on_and_an_old_one_does_not(personas, lesion, today):
    LesionImageFactory(lesion=lesion, captured_on=today - timedelta(days=100))
    reminder = reminder_services.set_reminder(
        user=personas.clinician, lesion=lesion, interval_months=3
    )
    due_before = reminder.due_on
    reminder_services.snooze_reminder(user=personas.clinician, reminder=reminder, span="week")

    def add(seed: int, captured_on: date) -> Reminder:
        image_services.add_image(
            user=personas.assistant,
            lesion=lesion,
            file=BytesIO(picture(seed)),
            captured_on=captured_on,
        )
        return Reminder.objects.get(lesion=lesion)

    late = add(1, today - timedelta(days=200))
    assert (late.due_on, late.snoozed_until) == (due_before, today + timedelta(days=7))
    new = add(2, today)
    assert (new.due_on, new.snoozed_until) == (schedule.months_after(today, 3), None)


def test_a_picture_does_not_wake_what_was_stopped(personas, lesion):
    reminder = reminder_services.set_reminder(
        user=personas.clinician, lesion=lesion, interval_months=1
    )
    reminder_services.stop_reminder(user=personas.clinician, reminder=reminder)
    image_services.add_image(user=personas.clinician, lesion=lesion, file=BytesIO(picture()))
    reminder.refresh_from_db()
    assert reminder.standing == Standing.STOPPED


def test_setting_again_begins_anew_and_keeps_one_row(personas, lesion):
    first = reminder_services.set_reminder(
        user=personas.clinician, lesion=lesion, interval_months=1
    )
    reminder_services.stop_reminder(user=personas.clinician, reminder=first)
    again = reminder_services.set_reminder(
        user=personas.assistant, lesion=lesion, interval_months=6
    )
    assert again.pk == first.pk
    assert again.is_active
    assert (again.interval_months, again.set_by) == (6, personas.assistant)


@pytest.mark.parametrize("months", [0, 2, 24, -1])
def test_an_interval_that_is_not_offered_is_refused(personas, lesion, months):
    with pytest.raises(ValidationError, match="Choose 1, 3, 6 or 12 months"):
        reminder_services.set_reminder(
            user=personas.clinician, lesion=lesion, interval_months=months
        )
    assert not Reminder.objects.exists()


def test_put_off_from_today_or_from_the_day_it_is_due(personas, lesion, today):
    reminder = ReminderFactory(lesion=lesion, due_on=today - timedelta(days=40))
    reminder_services.snooze_reminder(user=personas.clinician, reminder=reminder, span="month")
    reminder.refresh_from_db()
    assert reminder.snoozed_until == schedule.months_after(today, 1)
    assert reminder.due_on == today - timedelta(days=40)
    reminder_services.snooze_reminder(user=personas.clinician, reminder=reminder, span="week")
    reminder.refresh_from_db()
    assert reminder.rings_on == schedule.months_after(today, 1) + timedelta(weeks=1)
    chosen = today + timedelta(days=3)
    reminder_services.snooze_reminder(user=personas.clinician, reminder=reminder, until=chosen)
    reminder.refresh_from_db()
    assert reminder.rings_on == chosen


def test_what_cannot_be_put_off(personas, lesion, today):
    reminder = ReminderFactory(lesion=lesion, due_on=today)

    def snooze(**how):
        reminder_services.snooze_reminder(user=personas.clinician, reminder=reminder, **how)

    with pytest.raises(ValidationError, match="after today"):
        snooze(until=today)
    with pytest.raises(ValidationError, match="by a year at most"):
        snooze(until=today + timedelta(days=400))
    with pytest.raises(ValidationError, match="a week, a month, or a day"):
        snooze(span="decade")
    reminder_services.stop_reminder(user=personas.clinician, reminder=reminder)
    with pytest.raises(ValidationError, match="was stopped"):
        snooze(span="week")


def test_stopping_twice_keeps_the_first_moment(personas, lesion):
    reminder = ReminderFactory(lesion=lesion)
    first = reminder_services.stop_reminder(user=personas.clinician, reminder=reminder).stopped_at
    assert (
        reminder_services.stop_reminder(user=personas.admin, reminder=reminder).stopped_at == first
    )


def test_who_may_only_look_changes_nothing(personas, lesion):
    reminder = ReminderFactory(lesion=lesion)
    with pytest.raises(PermissionDenied):
        reminder_services.set_reminder(user=personas.viewer, lesion=lesion, interval_months=1)
    with pytest.raises(PermissionDenied):
        reminder_services.snooze_reminder(user=personas.viewer, reminder=reminder, span="week")
    with pytest.raises(PermissionDenied):
        reminder_services.stop_reminder(user=personas.viewer, reminder=reminder)


def test_standings_say_the_same_in_python_and_in_sql(personas, today):
    def made(days: int, **fields):
        lesion = LesionFactory(patient=personas.patient)
        return ReminderFactory(lesion=lesion, due_on=today + timedelta(days=days), **fields)

    expected = {
        made(-15): Standing.OVERDUE,
        made(-14): Standing.DUE,
        made(0): Standing.DUE,
        made(1): Standing.COMING,
        made(-60, snoozed_until=today): Standing.DUE,
        made(-60, snoozed_until=today + timedelta(days=1)): Standing.COMING,
        made(5, snoozed_until=today - timedelta(days=9)): Standing.COMING,
        made(-60, stopped_at=timezone.now()): Standing.STOPPED,
    }
    for standing in Standing:
        found = set(Reminder.objects.standing(standing, today))
        assert found == {r for r, where in expected.items() if where == standing}
        assert all(r.standing == standing for r in found)
    assert Reminder.objects.due(today).count() == 4
    assert reminder_queries.due_count(personas.clinician) == 4
    assert reminder_queries.due_count(personas.stranger) == 0


# What is suggested


def suggested(lesion, user=None):
    """As ``user`` sees it, or someone from whom nothing is withheld."""
    user = user or UserFactory()
    images = record_queries.timeline(lesion, user)
    histologies = record_queries.histologies_of(lesion, user)
    return suggestions.suggest(
        images,
        record_queries.standing_of(lesion, images, histologies),
        has_open_alert=outcomes.open_alerts(lesion.alerts.all(), user).exists(),
        histology=lesion.histologies.first(),
    )


@pytest.mark.parametrize(
    ("conclusion", "management", "months"),
    [
        ("nv", "none", None),
        ("nv", "monitor", 6),
        ("mel", "excise", 1),
        ("bcc", "refer", 1),
    ],
)
def test_a_review_of_the_newest_picture_decides(lesion, conclusion, management, months):
    reading = PredictionFactory(image__lesion=lesion, outcome="urgent")
    ReviewFactory(image=reading.image, conclusion=conclusion, management=management)
    found = suggested(lesion)
    assert found.interval_months == months
    assert "clinician concluded" in found.reason


@pytest.mark.parametrize(
    ("outcome", "months", "word"),
    [
        ("urgent", 1, "see it first"),
        ("see_doctor", 1, "see it first"),
        ("not_assessable", 1, "another one"),
        ("monitor", 3, "keep watching"),
    ],
)
def test_else_the_newest_reading_does(lesion, outcome, months, word):
    old = PredictionFactory(image__lesion=lesion, image__captured_on=date(2026, 1, 1))
    ReviewFactory(image=old.image, management="none")
    PredictionFactory(image__lesion=lesion, outcome=outcome)
    found = suggested(lesion)
    assert (found.interval_months, word in found.reason) == (months, True)


def test_a_symptom_forbids_to_be_told_to_watch(lesion):
    PredictionFactory(image__lesion=lesion, outcome="monitor")
    lesion.bleeding = True
    lesion.save()
    assert suggested(lesion).interval_months == 1


def test_after_a_steady_year_six_months_are_enough_unless_an_alert_is_open(lesion):
    for day in (date(2025, 3, 1), date(2026, 3, 1)):
        PredictionFactory(image__lesion=lesion, image__captured_on=day, outcome="monitor")
    assert suggested(lesion).interval_months == 6
    images = list(lesion.images.latest_first())
    AlertFactory(lesion=lesion, earlier=images[1], later=images[0])
    assert (suggested(lesion).interval_months, "change" in suggested(lesion).reason) == (1, True)


@pytest.mark.parametrize(
    ("finding", "months", "word"),
    [
        ("harmless", 6, "harmless"),
        ("watch", 3, "keep watching"),
        ("biopsy", 1, "result"),
        ("removed", None, "removed"),
    ],
)
def test_a_visit_that_settled_the_newest_picture_decides(personas, finding, months, word):
    lesion = LesionFactory(patient=personas.own_patient)
    first, last = (
        PredictionFactory(image__lesion=lesion, image__captured_on=day, outcome="urgent").image
        for day in (date(2025, 3, 1), date(2026, 3, 1))
    )
    AlertFactory(lesion=lesion, earlier=first, later=last)
    visit = DoctorVisitFactory(
        lesion=lesion, recorded_by=UserFactory(), visited_on=last.captured_on, finding=finding
    )
    found = suggested(lesion)
    assert (found.interval_months, word in found.reason) == (months, True)
    visit.withdrawn_at, visit.withdrawn_by = timezone.now(), visit.recorded_by
    visit.withdrawn_because = "Another spot"
    visit.save()
    assert "no doctor has looked" in suggested(lesion).reason


def test_after_a_histology_the_doctor_says_how_to_go_on(lesion):
    reading = PredictionFactory(image__lesion=lesion, outcome="urgent")
    ReviewFactory(image=reading.image, management="excise")
    HistologyFactory(lesion=lesion)
    assert (suggested(lesion).interval_months, "pathologist" in suggested(lesion).reason) == (
        None,
        True,
    )


def test_nothing_is_given_away_to_who_is_to_conclude_first(personas, lesion):
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    PredictionFactory(image__lesion=lesion, outcome="urgent")
    found = suggested(lesion, personas.clinician)
    assert (found.interval_months, "own conclusion" in found.reason) == (3, True)
    assert suggested(lesion, personas.assistant).interval_months == 1


def test_without_a_picture_or_a_reading_there_is_a_suggestion_too(lesion):
    assert "no picture" in suggested(lesion).reason
    LesionImageFactory(lesion=lesion)
    assert (suggested(lesion).interval, "not read" in suggested(lesion).reason) == (
        "Every 3 months",
        True,
    )


def test_a_warning_that_a_review_leaves_standing_comes_first(lesion):
    reading = PredictionFactory(image__lesion=lesion, outcome="urgent")
    ReviewFactory(image=reading.image, conclusion="uncertain", management="none")
    found = suggested(lesion)
    assert (found.interval_months, "see it first" in found.reason) == (1, True)
