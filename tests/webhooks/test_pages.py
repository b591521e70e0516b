"""The pages of webhooks: add one, view its log, send a test, resend, disable and enable."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from screening import tasks
from screening.models import Delivery, Event, Webhook
from screening.webhooks import services as webhook_services
from tests.factories import DeliveryAttemptFactory, DeliveryFactory, WebhookFactory

FORM = {
    "name": " Practice software ",
    "target": "https://practice.example.org/in",
    "events": ["review.recorded", "prediction.finished"],
}


@pytest.fixture
def at_once(monkeypatch):
    """A courier that runs as soon as it is notified."""
    monkeypatch.setattr(
        tasks.deliver_webhook_task,
        "apply_async",
        lambda arguments, queue: tasks.deliver_webhook_task(*arguments),
    )


def shown(client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_admin_adds_one_to_the_clinic(client, personas):
    client.force_login(personas.admin)
    path = f"/clinics/{personas.clinic.pk}/webhooks/new/"
    assert path in shown(client, f"/clinics/{personas.clinic.pk}/")
    answer = client.post(path, FORM)
    webhook = Webhook.objects.get()
    assert answer["Location"] == f"/webhooks/{webhook.pk}/"
    assert (webhook.clinic, webhook.owner) == (personas.clinic, None)
    assert webhook.name == "Practice software"
    assert webhook.events == ["prediction.finished", "review.recorded"]
    page = shown(client, answer["Location"])
    assert webhook.target in page
    assert webhook.secret in page
    assert "no-store" in client.get(answer["Location"])["Cache-Control"]
    assert webhook.name in shown(client, f"/clinics/{personas.clinic.pk}/")


def test_a_person_adds_one_to_the_own_record(client, personas):
    client.force_login(personas.self_tracker)
    assert "/account/webhooks/new/" in shown(client, "/account/")
    client.post("/account/webhooks/new/", FORM)
    webhook = Webhook.objects.get()
    assert (webhook.clinic, webhook.owner) == (None, personas.self_tracker)
    assert webhook.name in shown(client, "/account/")


def test_those_who_manage_nothing_see_none_on_the_clinics_page(client, personas):
    webhook = WebhookFactory(clinic=personas.clinic)
    client.force_login(personas.clinician)
    page = shown(client, f"/clinics/{personas.clinic.pk}/")
    assert webhook.name not in page
    assert "webhooks" not in page


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("target", "https://10.0.0.1/", "not on the public internet"),
        ("target", "http://practice.example.org/", "begins with https"),
        ("name", " ", "This field is required"),
        ("events", [], "This field is required"),
        ("events", ["patient.born"], "not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_and_the_rest_is_kept(
    client, personas, field, value, message
):
    client.force_login(personas.self_tracker)
    page = client.post("/account/webhooks/new/", FORM | {field: value}).content.decode()
    assert message in page
    assert (FORM["target"] if field == "name" else "Practice software") in page
    assert not Webhook.objects.exists()


def test_there_is_a_bound(personas):
    WebhookFactory.create_batch(webhook_services.MAX_WEBHOOKS, clinic=personas.clinic)
    with pytest.raises(ValidationError, match="10 webhooks already"):
        webhook_services.add_webhook(user=personas.admin, clinic=personas.clinic, **FORM)
    webhook_services.add_webhook(user=personas.admin, **FORM)  # counted separately


@pytest.mark.parametrize("persona", ["clinician", "colleague", "self_tracker"])
def test_only_an_admin_of_the_clinic_writes(personas, persona):
    user = getattr(personas, persona)
    webhook = WebhookFactory(clinic=personas.clinic)
    delivery = DeliveryFactory(webhook=webhook, failed=True)
    for write in (
        webhook_services.edit_webhook,
        webhook_services.rotate_secret,
        webhook_services.switch_on,
        webhook_services.switch_off,
        webhook_services.send_test,
        webhook_services.resend_failed,
        webhook_services.remove_webhook,
    ):
        with pytest.raises(PermissionDenied):
            write(user=user, webhook=webhook)
    with pytest.raises(PermissionDenied):
        webhook_services.resend(user=user, delivery=delivery)
    with pytest.raises(PermissionDenied):
        webhook_services.add_webhook(user=user, clinic=personas.clinic, **FORM)


def test_it_is_changed_and_removed(client, personas):
    webhook = DeliveryFactory(webhook__clinic=personas.clinic).webhook
    client.force_login(personas.admin)
    assert webhook.target in shown(client, f"/webhooks/{webhook.pk}/edit/")
    client.post(f"/webhooks/{webhook.pk}/edit/", FORM | {"target": "https://other.example.org/"})
    webhook.refresh_from_db()
    assert webhook.target == "https://other.example.org/"
    answer = client.post(f"/webhooks/{webhook.pk}/remove/")
    assert answer["Location"] == f"/clinics/{personas.clinic.pk}/"
    assert not Webhook.objects.exists()
    assert not Delivery.objects.exists()


def test_a_test_is_sent_and_followed(
    client, webhook, personas, at_once, django_capture_on_commit_callbacks
):
    client.force_login(personas.admin)
    answer = client.post(f"/webhooks/{webhook.pk}/test/")  # its notification is not received
    waiting = shown(client, answer["Location"])
    assert "hx-get" in waiting
    assert "It is sent within seconds" in waiting
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(f"/webhooks/{webhook.pk}/test/")
    part = client.get(answer["Location"], headers={"HX-Request": "true"}).content.decode()
    assert "Answered 200" in part
    assert "thanks" in part
    assert "hx-get" not in part
    assert "<html" not in part
    assert "webhook.test" in shown(client, answer["Location"])


def test_what_failed_is_seen_and_sent_again(
    client, webhook, receiver, personas, at_once, django_capture_on_commit_callbacks
):
    client.force_login(personas.admin)
    first, second = DeliveryFactory.create_batch(2, webhook=webhook, failed=True)
    delivered = DeliveryFactory(webhook=webhook, delivered=True, event=Event.REVIEW_RECORDED)
    DeliveryAttemptFactory(delivery=first, status_code=500, error="The address answered with …")
    page = shown(client, f"/webhooks/{webhook.pk}/?state=failed")
    assert page.count("prediction.finished</code></a>") == 2
    assert "review.recorded</code></a>" not in page
    assert "The address answered with …" in page
    with django_capture_on_commit_callbacks(execute=True):
        client.post(f"/deliveries/{first.pk}/resend/")
    first.refresh_from_db()
    assert (first.state, first.attempts.count()) == ("delivered", 2)
    with django_capture_on_commit_callbacks(execute=True):
        client.post(f"/webhooks/{webhook.pk}/resend/")
    second.refresh_from_db()
    assert second.state == "delivered"
    delivered.refresh_from_db()
    assert delivered.tries == 1
    assert [headers["webhook-id"] for _, headers, _ in receiver.got] == [
        str(first.pk),
        str(second.pk),
    ]


def test_what_is_on_its_way_is_not_sent_twice(client, personas):
    delivery = DeliveryFactory(webhook__clinic=personas.clinic)
    client.force_login(personas.admin)
    answer = client.post(f"/deliveries/{delivery.pk}/resend/", follow=True)
    assert "on its way already" in answer.content.decode()


def test_a_webhook_that_is_off_says_why_and_is_switched_on(client, personas):
    webhook = WebhookFactory(
        clinic=personas.clinic, off=True, disabled_reason="Nothing got through for 24 hours."
    )
    delivery = DeliveryFactory(webhook=webhook, failed=True)
    client.force_login(personas.admin)
    page = shown(client, f"/webhooks/{webhook.pk}/")
    assert "Nothing got through for 24 hours." in page
    assert "Switched off" in shown(client, f"/clinics/{personas.clinic.pk}/")
    answer = client.post(f"/deliveries/{delivery.pk}/resend/", follow=True)
    assert "Switch it on first" in answer.content.decode()
    client.post(f"/webhooks/{webhook.pk}/on/")
    webhook.refresh_from_db()
    assert webhook.is_enabled
    client.post(f"/webhooks/{webhook.pk}/off/")
    webhook.refresh_from_db()
    assert webhook.disabled_reason == "It was switched off by hand."


def test_rotating_shows_another_secret_and_how_long_the_old_one_holds(client, personas):
    webhook = WebhookFactory(clinic=personas.clinic)
    old = webhook.secret
    client.force_login(personas.admin)
    page = client.post(f"/webhooks/{webhook.pk}/rotate/", follow=True).content.decode()
    webhook.refresh_from_db()
    assert webhook.secret in page
    assert old not in page
    assert "signed with the previous secret as well" in page


def test_the_log_costs_the_same_with_many_rows(client, personas, django_assert_max_num_queries):
    webhook = WebhookFactory(clinic=personas.clinic)
    for delivery in DeliveryFactory.create_batch(30, webhook=webhook, delivered=True):
        DeliveryAttemptFactory.create_batch(2, delivery=delivery)
    client.force_login(personas.admin)
    # Session, user, webhook, count, deliveries, attempts, at most two of the navigation, and the
    # audit log's entry.
    with django_assert_max_num_queries(9):
        page = shown(client, f"/webhooks/{webhook.pk}/")
    assert page.count("Answered 200") == 25
