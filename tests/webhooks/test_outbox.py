"""Events are stored for their subscribers, in the same transaction, and for nobody else."""

from __future__ import annotations

import json
from datetime import date, timedelta
from uuid import UUID

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership, User
from ml import reader
from screening import tasks
from screening.models import MAX_ATTEMPTS, Delivery, Event, Webhook
from screening.predictions import queue, recovery
from screening.reviews import services as review_services
from screening.webhooks import delivery as webhook_delivery
from screening.webhooks import outbox
from screening.webhooks import services as webhook_services
from screening.webhooks.outbox import announce, announce_about
from tests.comparisons.test_comparisons import LIMITS, photographed
from tests.factories import (
    DeliveryFactory,
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
    UserFactory,
    WebhookFactory,
)

REVIEW = {"conclusion": "mel", "management": "excise", "note": "Ulcerated, of Ada."}


@pytest.fixture
def image(personas):
    return LesionImageFactory(
        lesion=LesionFactory(patient=personas.patient, label="Mole of Ada"),
    )


def told() -> list[tuple[str, str]]:
    return [(one.event, one.webhook.name) for one in Delivery.objects.order_by("created", "pk")]


def test_a_finished_reading_is_announced(personas, image):
    webhook = WebhookFactory(clinic=personas.clinic)
    queued = PredictionFactory(image=image, queued=True, model_version=reader.DEFAULT_VERSION)
    queue.read(queue.claim(queued.pk))
    [delivery] = Delivery.objects.all()
    assert (delivery.event, delivery.webhook) == (Event.PREDICTION_FINISHED, webhook)
    assert delivery.data == {
        "clinic": str(personas.clinic.pk),
        "patient": str(personas.patient.pk),
        "lesion": str(image.lesion.pk),
        "image": str(image.pk),
        "prediction": str(queued.pk),
    }


def test_a_failed_reading_is_announced(personas, image):
    WebhookFactory(clinic=personas.clinic, name="W")
    queued = PredictionFactory(image=image, queued=True, model_version="none-such")
    queue.read(queue.claim(queued.pk))
    assert told() == [("prediction.failed", "W")]


def test_a_reading_that_was_begun_too_often_is_announced(personas, image):
    WebhookFactory(clinic=personas.clinic, name="W")
    lost = PredictionFactory(image=image, running=True, attempts=MAX_ATTEMPTS)
    recovery.sweep(rung_before=timezone.now())
    lost.refresh_from_db()
    assert (lost.state, told()) == ("failed", [("prediction.failed", "W")])


def test_a_worker_that_lost_its_lease_announces_nothing(personas, image):
    WebhookFactory(clinic=personas.clinic)
    queued = PredictionFactory(image=image, queued=True, model_version=reader.DEFAULT_VERSION)
    slow = queue.claim(queued.pk)
    type(queued).objects.update(attempts=2)
    queue.read(slow)
    assert told() == []


def test_a_conclusion_is_announced_and_nothing_of_what_it_says(personas, image):
    WebhookFactory(clinic=personas.clinic)
    review = review_services.record_review(user=personas.clinician, image=image, **REVIEW)
    [delivery] = Delivery.objects.all()
    assert delivery.event == "review.recorded"
    assert delivery.data["review"] == str(review.pk)
    for word in ("mel", "excise", "Ulcerated", "Ada", personas.patient.label, "back"):
        assert word not in delivery.body


def test_an_alert_is_announced_once(personas, monkeypatch):
    card = {**reader.card(), "repeatability": {"limits": LIMITS}}
    monkeypatch.setattr(reader, "card", lambda version="": card)
    lesion = LesionFactory(patient=personas.patient)
    photographed(lesion, date(2026, 1, 1), radius=0.15)
    later = photographed(lesion, date(2026, 6, 1), radius=0.3)
    WebhookFactory(clinic=personas.clinic)
    tasks.follow_up_task(str(later.pk))
    found = {(one.event, one.data["alert"]) for one in Delivery.objects.all()}
    assert found == {("alert.opened", str(alert.pk)) for alert in later.alerts_with_earlier.all()}
    assert found
    tasks.follow_up_task(str(later.pk))
    assert Delivery.objects.count() == len(found)


def test_whatever_is_sent_is_an_identifier(personas, image):
    """Every value of every payload."""
    WebhookFactory(clinic=personas.clinic)
    review_services.record_review(user=personas.clinician, image=image, **REVIEW)
    queued = PredictionFactory(image=image, queued=True, model_version=reader.DEFAULT_VERSION)
    queue.read(queue.claim(queued.pk))
    assert Delivery.objects.count() == 2
    for delivery in Delivery.objects.all():
        message = json.loads(delivery.body)
        assert message.keys() == {"type", "timestamp", "data"}
        for value in message["data"].values():
            assert str(UUID(value)) == value


def test_it_is_kept_with_what_happened_or_not_at_all(personas, image):
    WebhookFactory(clinic=personas.clinic)
    with pytest.raises(RuntimeError), transaction.atomic():
        review_services.record_review(user=personas.clinician, image=image, **REVIEW)
        assert Delivery.objects.count() == 1
        raise RuntimeError
    assert not Delivery.objects.exists()
    assert not image.reviews.exists()


def test_who_is_told(personas):
    """The clinic and the owner of the record; nobody else, and nobody who did not subscribe."""
    owner = UserFactory()
    patient = PatientFactory(clinic=personas.clinic, owner=owner)
    image = LesionImageFactory(lesion=LesionFactory(patient=patient))
    WebhookFactory(clinic=personas.clinic, name="clinic")
    WebhookFactory(own=True, owner=owner, name="person")
    WebhookFactory(clinic=personas.clinic, name="off", off=True)
    WebhookFactory(clinic=personas.clinic, name="other events", events=["alert.opened"])
    WebhookFactory(own=True, owner=personas.clinician, name="the reviewer's own record")
    WebhookFactory(name="another clinic")
    review_services.record_review(user=personas.clinician, image=image, **REVIEW)
    assert sorted(told()) == [("review.recorded", "clinic"), ("review.recorded", "person")]


def test_a_batch_may_be_a_clinics_or_a_persons(personas):
    WebhookFactory(clinic=personas.clinic, name="clinic")
    WebhookFactory(own=True, owner=personas.self_tracker, name="person")
    batch = personas.patient.pk
    announce(Event.BATCH_FINISHED, clinic_id=None, owner_id=personas.self_tracker.pk, batch=batch)
    assert told() == [("batch.finished", "person")]
    assert Delivery.objects.get().data == {"clinic": None, "batch": str(batch)}
    announce(Event.BATCH_FINISHED, clinic_id=None, owner_id=None, batch=batch)
    assert Delivery.objects.count() == 1


def test_a_broker_that_is_away_loses_nothing(personas, image, monkeypatch):
    def away(*args, **kwargs):
        raise ConnectionError("no broker")

    webhook = WebhookFactory(clinic=personas.clinic)
    monkeypatch.setattr(tasks.deliver_webhook_task, "apply_async", away)
    review_services.record_review(user=personas.clinician, image=image, **REVIEW)
    outbox.ring()
    assert webhook.deliveries.get().state == "waiting"

    Delivery.objects.update(rung_at=timezone.now() - timedelta(minutes=2))
    rung = []
    monkeypatch.setattr(
        tasks.deliver_webhook_task, "apply_async", lambda args, queue: rung.append((args, queue))
    )
    outbox.ring()
    outbox.ring()
    assert rung == [((str(webhook.deliveries.get().pk),), "webhooks")]


@pytest.mark.parametrize("ending", ["removed", "demoted", "deactivated"])
def test_what_an_admin_registered_ends_with_their_right_to(personas, client, ending):
    """Neither new nor waiting events are sent, until another admin takes responsibility."""
    webhook = WebhookFactory(clinic=personas.clinic)
    waiting = DeliveryFactory(webhook=webhook)
    theirs = Membership.objects.filter(user=webhook.registered_by)
    if ending == "removed":
        theirs.delete()
    elif ending == "demoted":
        theirs.update(role="clinician")
    else:
        User.objects.filter(pk=webhook.registered_by_id).update(is_active=False)
    soon = timezone.now() + timedelta(minutes=1)
    announce_about(personas.patient, Event.REVIEW_RECORDED)
    assert list(Delivery.objects.all()) == [waiting]
    assert webhook_delivery.due(rung_before=soon) == []
    assert webhook_delivery.claim(waiting.pk) is None
    client.force_login(personas.admin)
    page = reverse("webhook", args=[webhook.pk])
    assert "Suspended." in client.get(page).text
    webhook_services.switch_on(user=personas.admin, webhook=Webhook.objects.get(pk=webhook.pk))
    assert "Suspended." not in client.get(page).text
    assert webhook_delivery.due(rung_before=soon) == [waiting.pk]
    announce_about(personas.patient, Event.REVIEW_RECORDED)
    assert Delivery.objects.count() == 2
