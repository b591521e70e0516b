"""A delivery: signed, sent once, retried for a day, then given up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from smtplib import SMTPRecipientsRefused

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from accounts.roles import Role
from accounts.services import set_reminder_mail
from screening import tasks
from screening.models import Delivery, Event, Webhook
from screening.webhooks import delivery as webhook_delivery
from screening.webhooks import http, retries
from screening.webhooks import services as webhook_services
from tests.factories import DeliveryFactory, MembershipFactory, WebhookFactory


def send(delivery: Delivery) -> Delivery:
    tasks.deliver_webhook_task(str(delivery.pk))
    delivery.refresh_from_db()
    return delivery


def let_time_pass(**by: float) -> None:
    """Move due times and pauses back, as if that much time had passed."""
    for delivery in Delivery.objects.all():
        Delivery.objects.filter(pk=delivery.pk).update(
            due_at=delivery.due_at - timedelta(**by),
            given_up_at=delivery.given_up_at - timedelta(**by),
        )
    for webhook in Webhook.objects.exclude(rests_until=None):
        Webhook.objects.filter(pk=webhook.pk).update(
            rests_until=webhook.rests_until - timedelta(**by)
        )


def test_a_delivery_arrives_signed(webhook, receiver):
    delivery = send(DeliveryFactory(webhook=webhook))
    assert delivery.state == "delivered"
    [(path, headers, body)] = receiver.got
    assert path == "/events?from=skincheck"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == str(delivery.pk)
    message = Verifier(webhook.secret).verify(body, headers)
    assert message["type"] == "prediction.finished"
    assert message["data"] == delivery.data
    [attempt] = delivery.attempts.all()
    assert (attempt.status_code, attempt.answer, attempt.error) == (200, "thanks", "")


def test_the_signature_is_what_the_standard_says(webhook, receiver):
    """Checked without the library that signs."""
    send(DeliveryFactory(webhook=webhook))
    [(_, headers, body)] = receiver.got
    prefix, _, encoded = webhook.secret.partition("_")
    assert prefix == "whsec"
    key = base64.b64decode(encoded)
    assert len(key) == 32
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_after_a_rotation_both_secrets_sign_for_a_day(webhook, receiver, personas):
    old = webhook.secret
    webhook_services.rotate_secret(user=personas.admin, webhook=webhook)
    assert webhook.secret != old
    send(DeliveryFactory(webhook=webhook))
    [(_, headers, body)] = receiver.got
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (old, webhook.secret):
        assert Verifier(secret).verify(body, headers)

    Webhook.objects.update(rotated_at=timezone.now() - timedelta(hours=24, seconds=1))
    send(DeliveryFactory(webhook=webhook))
    _, headers, body = receiver.got[1]
    assert Verifier(webhook.secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(old).verify(body, headers)


def test_a_new_secret_key_cuts_nobody_off(webhook, receiver, settings):
    old = webhook.secret
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of the site, as long as it should be"
    assert webhook.secret != old
    send(DeliveryFactory(webhook=webhook))
    [(_, headers, body)] = receiver.got
    for secret in (old, webhook.secret):
        assert Verifier(secret).verify(body, headers)


def test_secrets_differ_and_are_not_stored(webhook):
    other = WebhookFactory(clinic=webhook.clinic)
    assert webhook.secret != other.secret
    assert webhook.secret not in str(Webhook.objects.values())
    assert Webhook.objects.get(pk=webhook.pk).secret == webhook.secret


def test_two_workers_send_once(webhook, receiver):
    delivery = DeliveryFactory(webhook=webhook)
    assert webhook_delivery.claim(delivery.pk)
    assert webhook_delivery.claim(delivery.pk) is None
    Delivery.objects.update(state="waiting", lease_expires_at=None)
    send(delivery)
    send(delivery)
    assert len(receiver.got) == 1


def test_a_worker_that_is_lost_counts_as_a_failed_attempt(webhook, receiver):
    delivery = DeliveryFactory(webhook=webhook)
    slow = webhook_delivery.claim(delivery.pk)
    assert webhook_delivery.due(rung_before=timezone.now()) == []
    Delivery.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert webhook_delivery.due(rung_before=timezone.now()) == []  # it is retried after a pause
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("waiting", 1)
    assert delivery.attempts.get().error == "The sending was cut off here."
    let_time_pass(minutes=1)
    assert webhook_delivery.due(rung_before=timezone.now()) == [delivery.pk]
    send(delivery)
    # If the lost worker was only slow, its result is no longer recorded.
    webhook_delivery.deliver(slow)
    assert delivery.attempts.count() == 2


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
def test_a_refusal_is_tried_again(webhook, receiver, status):
    receiver.status, receiver.answer = status, b"no"
    delivery = send(DeliveryFactory(webhook=webhook))
    assert delivery.state == "waiting"
    [attempt] = delivery.attempts.all()
    assert (attempt.status_code, attempt.answer) == (status, "no")
    assert ("redirect" in attempt.error) == (status == 301)
    assert timedelta(seconds=7) < delivery.due_at - timezone.now() < timedelta(seconds=12)
    send(delivery)
    assert len(receiver.got) == 1  # not yet
    receiver.status = 200
    let_time_pass(minutes=1)
    assert webhook_delivery.due(rung_before=timezone.now()) == [delivery.pk]
    assert send(delivery).state == "delivered"
    # The same identifier, so that the receiver recognises the event.
    assert receiver.got[0][2] == receiver.got[1][2]
    assert receiver.got[0][1]["webhook-id"] == receiver.got[1][1]["webhook-id"]
    webhook.refresh_from_db()
    assert (webhook.failures, webhook.rests_until) == (0, None)


def test_pauses_grow_and_differ():
    for tries, expected in ((1, 10), (2, 30), (5, 810), (8, 18_000), (40, 18_000)):
        for _ in range(20):
            assert 0.8 * expected <= retries.pause(tries) <= 1.2 * expected
    assert len({retries.pause(1) for _ in range(20)}) > 1


def test_the_other_side_may_ask_for_time(webhook, receiver):
    receiver.status, receiver.headers = 503, {"Retry-After": "600"}
    delivery = send(DeliveryFactory(webhook=webhook))
    assert delivery.due_at - timezone.now() > timedelta(seconds=590)


def test_it_is_given_up_after_a_day_and_the_admins_are_told(
    webhook, receiver, personas, mailoutbox, django_capture_on_commit_callbacks
):
    MembershipFactory(clinic=personas.clinic, role=Role.ADMIN, user__email="second@example.org")
    receiver.status = 500
    delivery = DeliveryFactory(webhook=webhook)
    began = delivery.given_up_at - timedelta(hours=24)
    passed = timedelta()
    while delivery.state != "failed":
        assert not mailoutbox
        with django_capture_on_commit_callbacks(execute=True):
            send(delivery)
        wait = max(delivery.due_at - timezone.now(), timedelta())
        passed += wait
        let_time_pass(seconds=wait.total_seconds() + 1)
        delivery.refresh_from_db()
    assert 10 <= delivery.tries == len(receiver.got) <= 16
    assert timedelta(hours=18) < passed < timedelta(hours=24)
    assert began < timezone.now()

    webhook.refresh_from_db()
    assert webhook.disabled_reason == "Nothing got through for 24 hours."
    assert sorted(mail.to[0] for mail in mailoutbox) == [
        personas.admin.email,
        "second@example.org",
    ]
    assert all(len(mail.to) == 1 for mail in mailoutbox)
    assert f"/webhooks/{webhook.pk}/" in mailoutbox[0].body


def test_the_mail_about_a_webhook_is_optional(
    webhook, receiver, personas, mailoutbox, django_capture_on_commit_callbacks
):
    second = MembershipFactory(clinic=personas.clinic, role=Role.ADMIN).user
    set_reminder_mail(user=personas.admin, mails_reminders=False)
    receiver.status = 410
    with django_capture_on_commit_callbacks(execute=True):
        send(DeliveryFactory(webhook=webhook))
    [mail] = mailoutbox
    assert mail.to == [second.email]
    assert mail.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_mail_that_is_refused_stops_no_other(
    webhook, receiver, personas, mailoutbox, monkeypatch, django_capture_on_commit_callbacks
):
    MembershipFactory(clinic=personas.clinic, role=Role.ADMIN, user__email="second@example.org")
    send_mail, refused = EmailMessage.send, []

    def refuse_the_first(self):
        if refused:
            return send_mail(self)
        refused.append(self.to)
        raise SMTPRecipientsRefused({})

    monkeypatch.setattr(EmailMessage, "send", refuse_the_first)
    receiver.status = 410
    with django_capture_on_commit_callbacks(execute=True):
        send(DeliveryFactory(webhook=webhook))
    assert len(refused) == len(mailoutbox) == 1
    assert refused != [mailoutbox[0].to]


def test_the_person_is_told_of_their_own(
    personas, receiver, mailoutbox, django_capture_on_commit_callbacks
):
    receiver.status = 410
    webhook = WebhookFactory(
        own=True, owner=personas.self_tracker, target=receiver.url, name="Two\nlines"
    )
    with django_capture_on_commit_callbacks(execute=True):
        delivery = send(DeliveryFactory(webhook=webhook))
    assert delivery.state == "failed"
    webhook.refresh_from_db()
    assert "gone for good" in webhook.disabled_reason
    [mail] = mailoutbox
    assert mail.to == [personas.self_tracker.email]
    assert mail.subject == "Webhook “Two lines” was switched off"


def test_one_event_that_is_always_refused_does_not_switch_it_off(webhook, receiver):
    receiver.status = 400
    refused = send(DeliveryFactory(webhook=webhook))
    let_time_pass(minutes=1)
    receiver.status = 200
    send(DeliveryFactory(webhook=webhook))
    receiver.status = 400
    Delivery.objects.filter(pk=refused.pk).update(
        due_at=timezone.now(), given_up_at=timezone.now() + timedelta(seconds=1)
    )
    assert send(refused).state == "failed"
    webhook.refresh_from_db()
    assert webhook.is_enabled


def test_after_a_failure_the_others_wait(webhook, receiver):
    """Two thousand events for a dead address must not delay those for a live one."""
    first, second = DeliveryFactory(webhook=webhook), DeliveryFactory(webhook=webhook)
    other = DeliveryFactory(webhook=WebhookFactory(target=receiver.url))
    receiver.status = 500
    send(first)
    assert webhook_delivery.due(rung_before=timezone.now()) == [other.pk]
    assert send(second).tries == 0
    receiver.status = 200
    let_time_pass(minutes=1)
    assert send(second).state == "delivered"


def test_what_is_off_waits(webhook, receiver, personas):
    delivery = DeliveryFactory(webhook=webhook)
    webhook_services.switch_off(user=personas.admin, webhook=webhook)
    assert webhook_delivery.due(rung_before=timezone.now()) == []
    assert send(delivery).tries == 0
    let_time_pass(hours=48)
    webhook_services.switch_on(user=personas.admin, webhook=webhook)
    assert webhook_delivery.due(rung_before=timezone.now()) == [delivery.pk]
    delivery.refresh_from_db()
    assert delivery.given_up_at > timezone.now() + timedelta(hours=23)
    assert send(delivery).state == "delivered"


def test_a_test_is_tried_once_even_while_it_is_off(webhook, receiver, personas):
    webhook_services.switch_off(user=personas.admin, webhook=webhook)
    receiver.status = 500
    failed = send(webhook_services.send_test(user=personas.admin, webhook=webhook))
    assert (failed.state, failed.attempts.count()) == ("failed", 1)
    receiver.status = 200
    assert (
        send(webhook_services.send_test(user=personas.admin, webhook=webhook)).state == "delivered"
    )
    message = json.loads(receiver.got[1][2])
    assert message["type"] == "webhook.test"
    assert message["data"] == {"webhook": str(webhook.pk)}
    webhook.refresh_from_db()
    assert webhook.failures == 0
    assert not webhook.is_enabled


def test_the_target_is_checked_when_it_is_sent(settings, personas):
    """Entered while a name was public, or directly in the database: it makes no difference."""
    webhook = WebhookFactory(
        clinic=personas.clinic, registered_by=personas.admin, target="https://localhost:443/"
    )
    delivery = send(DeliveryFactory(webhook=webhook))
    assert delivery.attempts.get().error == "This address is not on the public internet."


def test_a_name_server_that_does_not_answer_is_cut_off(webhook, monkeypatch):
    def stuck(*args, **kwargs):
        raise http.SoftTimeLimitExceeded

    monkeypatch.setattr(http.targets, "addresses", stuck)
    delivery = send(DeliveryFactory(webhook=webhook))
    assert delivery.attempts.get().error == "No answer within 15 seconds."


def test_every_event_has_a_word_and_fits():
    for event in Event:
        assert event.label
        assert len(event.value) <= Delivery._meta.get_field("event").max_length


def test_the_log_goes_back_thirty_days(webhook):
    old, new = DeliveryFactory(webhook=webhook, failed=True), DeliveryFactory(webhook=webhook)
    Delivery.objects.filter(pk=old.pk).update(created=timezone.now() - timedelta(days=31))
    tasks.forget_old_deliveries_task()
    assert list(Delivery.objects.all()) == [new]


def test_the_limits_of_the_task_are_shorter_than_its_lease():
    task = tasks.deliver_webhook_task
    assert http.SECONDS < task.soft_time_limit < task.time_limit < webhook_delivery.LEASE_SECONDS


def test_who_asks_for_more_than_a_day_is_asked_again_and_not_switched_off(webhook, receiver):
    receiver.status, receiver.headers = 503, {"Retry-After": "90000"}
    delivery = send(DeliveryFactory(webhook=webhook))
    assert delivery.state == "waiting"
    assert timedelta(hours=4) < delivery.due_at - timezone.now() < timedelta(hours=6)
    webhook.refresh_from_db()
    assert webhook.is_enabled
    receiver.status, receiver.headers = 200, {}
    let_time_pass(hours=5, minutes=1)
    assert send(delivery).state == "delivered"


def test_what_waited_for_a_courier_for_a_day_still_has_its_day(webhook, receiver):
    receiver.status = 500
    delivery = DeliveryFactory(webhook=webhook)
    let_time_pass(hours=30)
    assert send(delivery).state == "waiting"
    assert delivery.given_up_at - timezone.now() > timedelta(hours=23)
    webhook.refresh_from_db()
    assert webhook.is_enabled
