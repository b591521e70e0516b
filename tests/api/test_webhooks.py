"""Webhooks over the API."""

from __future__ import annotations

import pytest

from accounts import services
from screening.models import Delivery, Webhook
from tests.api.conftest import pointers
from tests.clients import Program
from tests.factories import DeliveryAttemptFactory, DeliveryFactory, WebhookFactory

BODY = {
    "name": "Practice software",
    "target": "https://practice.example.org/in",
    "events": ["prediction.finished"],
}


@pytest.fixture
def admin(personas, client_of):
    return client_of(personas.admin)


def test_a_webhook_is_added_changed_and_removed(admin, personas):
    answer = admin.post("/api/v1/webhooks/", BODY | {"clinic": str(personas.clinic.pk)})
    assert answer.status_code == 201
    body = answer.json()
    assert body["enabled"] is True
    assert "secret" not in body
    webhook = Webhook.objects.get()
    assert webhook.clinic == personas.clinic

    secret = admin.get(f"{body['url']}secret/")
    assert secret.json() == {"secret": webhook.secret}
    assert secret["Cache-Control"] == "no-store"

    answer = admin.patch(body["url"], {"enabled": False, "events": ["alert.opened"]})
    assert answer.json()["enabled"] is False
    assert answer.json()["disabled_reason"] == "It was switched off by hand."
    assert answer.json()["events"] == ["alert.opened"]
    assert admin.patch(body["url"], {"enabled": True}).json()["disabled_reason"] is None
    assert admin.patch(body["url"], {"clinic": None}).status_code == 400

    rotated = admin.post(f"{body['url']}rotate/")
    assert rotated.json()["old_secret_expires_at"]
    assert admin.get(f"{body['url']}secret/").json() != secret.json()

    assert admin.delete(body["url"]).status_code == 204
    assert not Webhook.objects.exists()


def test_the_list_costs_the_same_with_many(admin, personas, django_assert_max_num_queries):
    WebhookFactory.create_batch(10, clinic=personas.clinic)
    # The key with its user, its last use, the webhooks, and at most one for limits.
    with django_assert_max_num_queries(4):
        assert len(admin.get("/api/v1/webhooks/").json()["results"]) == 10


def test_a_webhook_may_be_added_switched_off(admin):
    assert admin.post("/api/v1/webhooks/", BODY | {"enabled": False}).json()["enabled"] is False


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("target", "https://169.254.169.254/latest/", "/target"),
        ("target", "https://practice.example.org:25/", "/target"),
        ("events", [], "/events"),
        ("events", ["patient.born"], "/events/0"),
        ("secret", "whsec_x", "/secret"),
    ],
)
def test_what_is_refused(admin, field, value, pointer):
    answer = admin.post("/api/v1/webhooks/", BODY | {field: value})
    assert answer.status_code == 400
    assert pointer in pointers(answer)


def test_what_was_sent_is_listed_and_sent_again(admin, personas, django_assert_max_num_queries):
    webhook = WebhookFactory(clinic=personas.clinic)
    failed = DeliveryFactory(webhook=webhook, failed=True)
    DeliveryAttemptFactory(delivery=failed, status_code=None, answer="", error="Nothing answers.")
    for delivery in DeliveryFactory.create_batch(20, webhook=webhook, delivered=True):
        DeliveryAttemptFactory(delivery=delivery)
    DeliveryFactory(failed=True)  # another clinic's
    # Key, user, deliveries with their webhooks, attempts.
    with django_assert_max_num_queries(5):
        answer = admin.get("/api/v1/deliveries/")
    assert len(answer.json()["results"]) == 21
    [row] = admin.get("/api/v1/deliveries/", {"state": "failed"}).json()["results"]
    assert row["id"] == str(failed.pk)
    assert row["attempts"][0]["error"] == "Nothing answers."
    answer = admin.post(f"{row['url']}resend/")
    assert answer.status_code == 202
    assert answer["Location"] == row["url"]
    assert answer.json()["state"] == "waiting"
    again = admin.post(f"{row['url']}resend/")
    assert (again.status_code, "on its way" in again.json()["detail"]) == (400, True)


def test_a_key_bound_to_the_clinic_manages_its_webhooks_only(personas):
    own = WebhookFactory(own=True, owner=personas.admin)
    scopes = ["webhooks:read", "webhooks:write"]
    _, secret = services.create_api_key(
        user=personas.admin, name="x", clinic=personas.clinic, scopes=scopes
    )
    caller = Program(secret)
    answer = caller.post("/api/v1/webhooks/", BODY)
    assert answer.json()["clinic"] == str(personas.clinic.pk)
    assert caller.get(f"/api/v1/webhooks/{own.pk}/").status_code == 404
    # Permission to list webhooks must not allow forging their events.
    refused = caller.get(f"{answer.json()['url']}secret/")
    assert (refused.status_code, refused.json()["scope"]) == (403, "webhook_secrets:read")


def test_a_test_is_sent(admin, personas):
    webhook = WebhookFactory(clinic=personas.clinic)
    answer = admin.post(f"/api/v1/webhooks/{webhook.pk}/test/")
    assert answer.status_code == 202
    delivery = Delivery.objects.get()
    assert answer["Location"].endswith(f"/deliveries/{delivery.pk}/")
    assert answer.json()["event"] == delivery.event == "webhook.test"


def test_a_missing_target_is_told_apart_from_the_url(admin):
    body = {**BODY, "url": BODY["target"]}
    del body["target"]
    assert "`url`" in pointers(admin.post("/api/v1/webhooks/", body))["/target"]
