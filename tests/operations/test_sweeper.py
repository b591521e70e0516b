"""Without a broker no worker gets a message: the sweep does all waiting work, but only then."""

from __future__ import annotations

from datetime import date, timedelta
from unittest import mock

import pytest
from django.utils import timezone

from accounts import invitations
from accounts.models import Invitation
from screening import sweeper
from screening.models import Comparison, Delivery, Measurement, Reminder, Setback
from screening.operations import heartbeats
from screening.webhooks import delivery
from tests.comparisons.test_comparisons import limits, photographed  # noqa: F401
from tests.factories import DeliveryFactory, LesionFactory, ReminderFactory
from tests.webhooks.conftest import receiver, webhook  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_connection(monkeypatch):
    monkeypatch.setattr(sweeper, "close_old_connections", lambda: None)
    monkeypatch.setattr(sweeper, "_mails", sweeper._Mails())


@pytest.fixture
def lesion(personas):
    return LesionFactory(patient=personas.patient)


def alive(*parts: str) -> None:
    for part in parts:
        heartbeats.beat(f"{part}@here")


def test_it_measures_and_compares(lesion, limits):  # noqa: F811
    for month in (1, 6):
        photographed(lesion, date(2026, month, 1))
    alive(heartbeats.WORKER)
    sweeper.sweep_once()
    assert not Measurement.objects.exists()
    heartbeats.Heartbeat.objects.all().delete()
    sweeper.sweep_once()
    assert Measurement.objects.count() == 2
    assert Comparison.objects.count() == 1
    assert not Setback.objects.exists()


def test_it_measures_while_every_worker_hangs(lesion, limits):  # noqa: F811
    photographed(lesion, date(2026, 1, 1))
    hour_ago = timezone.now() - timedelta(hours=1)
    busy = [heartbeats.Doing("work_on_exports_task", hour_ago, 3600)]
    heartbeats.beat("worker@a", doing=busy)
    heartbeats.beat("worker@b")
    sweeper.follow_up_where_nobody_does()
    assert not Measurement.objects.exists()
    heartbeats.beat("worker@b", doing=busy)
    sweeper.follow_up_where_nobody_does()
    assert Measurement.objects.count() == 1


def test_one_that_kills_it_rests(lesion, limits, monkeypatch):  # noqa: F811
    photographed(lesion, date(2026, 1, 1))

    def killed(_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(sweeper.follow_up.measurement_services, "measure_image", killed)
    with pytest.raises(SystemExit):
        sweeper.follow_up_where_nobody_does()
    assert sweeper._not_followed_up() == []


def test_it_sends_webhooks(webhook, receiver):  # noqa: F811
    waiting = DeliveryFactory(webhook=webhook)
    alive(heartbeats.WORKER, heartbeats.COURIER)
    sweeper.sweep_once()
    assert receiver.got == []
    heartbeats.Heartbeat.objects.filter(name__startswith=heartbeats.COURIER).delete()
    sweeper.sweep_once()
    waiting.refresh_from_db()
    assert waiting.state == "delivered"
    assert len(receiver.got) == 1


def test_slow_receivers_delay_a_sweep_by_one_shift(webhook, monkeypatch):  # noqa: F811
    DeliveryFactory.create_batch(3, webhook=webhook)
    sent = []
    monkeypatch.setattr(delivery, "deliver", sent.append)
    monkeypatch.setattr(sweeper, "SHIFT_SECONDS", -1)
    sweeper.deliver_where_nobody_does()
    assert len(sent) == 1
    assert Delivery.objects.filter(state="sending").count() == 1


@pytest.mark.parametrize("is_away", [True, False])
def test_a_long_step_tries_the_storage_but_does_not_need_it(webhook, monkeypatch, is_away):  # noqa: F811
    """Otherwise pages would be refused although the storage is available."""
    DeliveryFactory.create_batch(2, webhook=webhook)
    sent = []
    monkeypatch.setattr(delivery, "deliver", sent.append)
    if is_away:
        monkeypatch.setattr(sweeper.default_storage, "delete", mock.Mock(side_effect=OSError))
    sweeper.deliver_where_nobody_does()
    assert len(sent) == 2
    assert heartbeats.is_alive(heartbeats.STORAGE) is not is_away


@pytest.mark.parametrize("silent", [heartbeats.WORKER, heartbeats.BEAT])
def test_it_mails(personas, lesion, mailoutbox, monkeypatch, silent):
    monkeypatch.setattr(sweeper, "BY_DAY", range(24))
    ReminderFactory(lesion=lesion, set_by=personas.clinician, due_on=timezone.localdate())
    invitations.invite(
        user=personas.admin, clinic=personas.clinic, email="new@example.org", role="viewer"
    )
    mailoutbox.clear()
    Invitation.objects.update(mailed_at=None, created=timezone.now() - timedelta(hours=1))
    alive(heartbeats.WORKER, heartbeats.BEAT)
    sweeper.mail_where_nobody_does()
    assert mailoutbox == []
    heartbeats.Heartbeat.objects.filter(name__startswith=silent).delete()
    sweeper.mail_where_nobody_does()
    assert len(mailoutbox) == 2
    assert Reminder.objects.exclude(mailed_for=None).count() == 1
    Invitation.objects.update(mailed_at=None)
    sweeper.mail_where_nobody_does()  # not at every sweep
    assert len(mailoutbox) == 2


def test_nobody_is_reminded_at_night(personas, lesion, mailoutbox, monkeypatch):
    monkeypatch.setattr(sweeper, "BY_DAY", range(0))
    ReminderFactory(lesion=lesion, set_by=personas.clinician, due_on=timezone.localdate())
    sweeper.mail_where_nobody_does()
    assert mailoutbox == []
