"""The clock is set back by an hour, and nothing waits for the hour to pass."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from celery.schedules import crontab, schedule
from django.apps import apps
from django.db.models import DateTimeField
from django.utils import timezone

from ml import reader
from screening import idempotency, sweeper
from screening.comparisons import services as comparison_services
from screening.models import (
    Delivery,
    DeliveryState,
    DicomDelivery,
    DicomNode,
    Heartbeat,
    IdempotentRequest,
    Measurement,
    Prediction,
    Reminder,
    Setback,
    State,
)
from screening.operations import clock, heartbeats
from screening.predictions import details
from screening.reminders import emails
from skincheck_site.cache import ForgivingFiles
from skincheck_site.celery import app
from skincheck_site.scheduler import Scheduler
from tests.factories import (
    DeliveryFactory,
    DicomDeliveryFactory,
    LesionFactory,
    LesionImageFactory,
    MeasurementFactory,
    PredictionFactory,
    ReminderFactory,
)

HOUR = timedelta(hours=1)

# Moments that nothing in the background waits for.
HISTORY = {
    "at",  # of the audit log: signed
    "created",
    "modified",
    "placed_at",
    "shown_at",
    "withdrawn_at",
    "rotated_at",
    "revoked_at",
    "accepted_at",
    "ended_at",
    "expires_at",
    "disabled_at",
    "removed_at",
    "stopped_at",
    "started_at",
    "finished_at",
    "told_from",
    "told_until",
    "symptoms_at",
    "replaced_at",
    "closed_at",
    "answered_at",
    "lost_at",
    "mailed_at",
    "fetched_at",
    "task_since",  # nothing waits for it, and each heartbeat tells it anew
    "erased_at",
    "erased_from",  # days ahead: an erasure may be an hour late
}
# Leases of a request and of a mail: those that are too far ahead are ignored.
BOUNDED = {"locked_until", "mailing_since"}


def test_every_moment_is_known() -> None:
    awaited = {(model, field) for model, field, _ in clock.AWAITED}
    moments = {
        (model, field.name)
        for model in apps.get_app_config("screening").get_models()
        for field in model._meta.fields
        if isinstance(field, DateTimeField) and field.name not in HISTORY | BOUNDED
    }
    assert awaited == moments


@pytest.fixture
def _an_hour_ago(db: None) -> None:
    """The sweeper's last beat is an hour ahead, as after the clock was set back."""
    heartbeats.beat(heartbeats.SWEEPER)
    Heartbeat.objects.update(beat_at=timezone.now() + HOUR)


def queued(**fields) -> Prediction:
    return PredictionFactory(queued=True, model_version=reader.DEFAULT_VERSION, **fields)


@pytest.mark.usefixtures("_an_hour_ago")
def test_nothing_waits_for_the_hour_to_pass(settings) -> None:
    ahead = timezone.now() + HOUR
    rests, rung, lost, read_now = queued(), queued(), queued(), queued()
    Prediction.objects.filter(pk=rests.pk).update(rests_until=ahead)
    Prediction.objects.filter(pk=rung.pk).update(rung_at=ahead)
    Prediction.objects.filter(pk=lost.pk).update(
        state=State.RUNNING, attempts=1, lease_expires_at=ahead
    )
    lease = timezone.now() + timedelta(seconds=30)
    Prediction.objects.filter(pk=read_now.pk).update(
        state=State.RUNNING, attempts=1, lease_expires_at=lease
    )
    delivery = DeliveryFactory(state=DeliveryState.WAITING)
    Delivery.objects.filter(pk=delivery.pk).update(
        due_at=ahead, rung_at=ahead, given_up_at=ahead + timedelta(days=1)
    )
    stored = DicomDeliveryFactory()
    DicomDelivery.objects.filter(pk=stored.pk).update(due_at=ahead, rung_at=ahead)
    DicomNode.objects.update(rests_until=ahead)
    Setback.objects.create(image=LesionImageFactory(), rests_until=ahead)

    clock.tick()

    now = timezone.now()
    assert Prediction.objects.claimable().count() == 2
    assert not Prediction.objects.filter(rung_at__gt=now).exists()
    lost.refresh_from_db()
    assert now < lost.lease_expires_at
    assert lost.lease_expires_at <= now + timedelta(seconds=settings.PREDICTION_LEASE_SECONDS)
    read_now.refresh_from_db()
    assert read_now.lease_expires_at == lease
    delivery.refresh_from_db()
    assert max(delivery.due_at, delivery.rung_at) <= now
    assert delivery.given_up_at <= now + timedelta(days=1)
    stored.refresh_from_db()
    assert max(stored.due_at, stored.rung_at, stored.node.rests_until) <= now
    assert Setback.objects.get().rests_until <= now
    assert Heartbeat.objects.get(name=heartbeats.SWEEPER).beat_at <= now


def test_what_is_ahead_as_it_should_be_stays(db) -> None:
    heartbeats.beat(heartbeats.SWEEPER)
    soon = timezone.now() + timedelta(minutes=5)
    Prediction.objects.filter(pk=queued().pk).update(rests_until=soon)
    clock.tick()
    assert Prediction.objects.get().rests_until == soon


@pytest.mark.usefixtures("_an_hour_ago")
def test_a_worker_that_fell_silent_is_missed() -> None:
    heartbeats.beat(heartbeats.WORKER)
    Heartbeat.objects.update(beat_at=timezone.now() + HOUR)
    image = queued()
    Prediction.objects.filter(pk=image.pk).update(created=timezone.now() + HOUR)
    Prediction.objects.filter(pk=PredictionFactory().pk).update(started_at=timezone.now() + HOUR)
    clock.tick()
    Heartbeat.objects.filter(name=heartbeats.WORKER).update(beat_at=timezone.now() - HOUR)
    assert sweeper.nobody_works()
    heartbeats.beat(heartbeats.WORKER)
    assert sweeper.nobody_works()  # it lives, and has begun nothing


def test_a_request_that_was_cut_off_is_repeated(personas) -> None:
    ahead = timezone.now() + HOUR
    IdempotentRequest.objects.create(caller="a", key="b", fingerprint="c", locked_until=ahead)
    claimed = idempotency.claim(caller="a", key="b", fingerprint="c")
    assert claimed.locked_until < ahead


def test_a_mail_that_was_cut_off_is_sent(personas) -> None:
    lesion, today = LesionFactory(patient=personas.patient), timezone.localdate()
    reminder = ReminderFactory(lesion=lesion, set_by=personas.clinician, due_on=today)
    Reminder.objects.update(mailing_since=timezone.now() + HOUR)
    assert emails.send(personas.clinician.pk, [reminder.pk])


def test_a_failed_reading_pauses_no_longer(personas) -> None:
    """A reading is queued again after a correction; failures delay that by ``details.PAUSE``."""
    lesion = LesionFactory(patient=personas.patient)
    reading = PredictionFactory(image__lesion=lesion, model_version=reader.DEFAULT_VERSION)
    Prediction.objects.update(context={"age": 21.0, "sex": "female", "localization": "back"})
    PredictionFactory(image=reading.image, failed=True, model_version=reader.DEFAULT_VERSION)
    assert details.queue_some_again() == []
    Prediction.objects.filter(state=State.FAILED).update(finished_at=timezone.now() + HOUR)
    assert [again.image for again in details.queue_some_again()] == [reading.image]


def test_a_lost_comparison_is_missed_at_once(personas) -> None:
    lesion = LesionFactory(patient=personas.patient)
    LesionImageFactory(lesion=lesion)
    after = LesionImageFactory(lesion=lesion)
    measurement = MeasurementFactory(image=after)
    assert comparison_services.uncompared() == []
    Measurement.objects.filter(pk=measurement.pk).update(created=timezone.now() + HOUR)
    assert comparison_services.uncompared() == [after]


def test_nothing_is_kept_for_an_hour_longer(tmp_path, monkeypatch) -> None:
    """Counters of rate limits, and notifications sent just now."""
    cache = ForgivingFiles(tmp_path, {})
    now = time.time()
    cache.set("key", 1, 60)
    assert not cache.add("key", 2, 60)
    monkeypatch.setattr(time, "time", lambda: now - HOUR.total_seconds())
    assert cache.get("key") is None
    assert cache.add("key", 2, 60)


@pytest.mark.parametrize("every", [schedule(20), crontab(minute="*/20")], ids=["20 s", "20 min"])
def test_beat_goes_on(every, tmp_path, monkeypatch) -> None:
    scheduler = Scheduler(app=app, schedule_filename=str(tmp_path / "beat"))
    monkeypatch.setattr(Scheduler, "apply_entry", lambda *arguments, **options: None)
    scheduler.schedule.clear()
    entry = scheduler.add(name="it", task="screening.tasks.beat_task", schedule=every)
    entry.last_run_at = entry.default_now() + HOUR
    assert scheduler.tick() <= 20 * 60
    assert scheduler.schedule["it"].last_run_at <= entry.default_now()
    scheduler.close()
