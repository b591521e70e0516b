"""The life cycle of a delivery: claimed by one worker, signed and sent, each attempt logged,
retried when due.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from standardwebhooks import Webhook as Signer

from accounts import mail, unsubscribing
from accounts.models import User
from accounts.roles import Role
from screening.errors import NotSent
from screening.models import RETRY_HOURS, TEST_EVENT, Announcement, Delivery, DeliveryState, Webhook
from screening.webhooks import retries
from screening.webhooks.http import Answer, post

LEASE_SECONDS = 60
LOG_DAYS = 30
GONE = 410
ALREADY_THERE = 409


def due(*, rung_before: datetime) -> list[UUID]:
    """Deliveries to ring for: due, to an enabled endpoint, and not rung for recently.

    A delivery that a worker started but never finished counts as a failed attempt first.
    """
    now = timezone.now()
    for delivery in Delivery.objects.lost(now).select_related("webhook")[: retries.DUE_LIMIT]:
        _keep(delivery, None, "The sending was cut off here.", LEASE_SECONDS * 1000)
    can_be_sent = Q(webhook__in=Webhook.objects.enabled()) & (
        Q(webhook__rests_until=None) | Q(webhook__rests_until__lte=now)
    )
    found = list(
        Delivery.objects.due(now)
        .rung_before(rung_before)
        .filter(can_be_sent | Q(event=TEST_EVENT))
        .order_by("due_at", "pk")
        .values_list("pk", flat=True)[: retries.DUE_LIMIT]
    )
    Delivery.objects.filter(pk__in=found, state=DeliveryState.WAITING).update(rung_at=now)
    return found


def claim(pk: UUID) -> Delivery | None:
    """WAITING -> SENDING, for one caller only; None for every other, and for deliveries that are
    not due.
    """
    now = timezone.now()
    delivery = Delivery.objects.select_related("webhook").filter(pk=pk).first()
    if delivery is None or not (delivery.is_test or _may_be_sent_to(delivery.webhook, now)):
        return None
    due = Delivery.objects.due(now).filter(pk=pk)
    if not retries.claim(due, seconds=LEASE_SECONDS):
        return None
    delivery.refresh_from_db(fields=["state", "tries", "given_up_at", "lease_expires_at"])
    return delivery


def deliver(delivery: Delivery) -> None:
    """SENDING -> DELIVERED, or WAITING for the next attempt, or FAILED after a day of them."""
    started = time.monotonic()
    answer: Answer | None = None
    try:
        answer = post(delivery.webhook.target, headers(delivery), delivery.body.encode())
        error = _refusal(answer.status_code)
    except NotSent as reason:
        error = str(reason)
    _keep(delivery, answer, error, round((time.monotonic() - started) * 1000))


def headers(delivery: Delivery) -> dict[str | bytes, str | bytes]:
    """The headers of Standard Webhooks: one signature per valid secret."""
    now = timezone.now()
    signatures = [
        Signer(secret).sign(str(delivery.pk), now, delivery.body)
        for secret in delivery.webhook.signing_secrets
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": "SkinCheck-Webhooks/1",
        "webhook-id": str(delivery.pk),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def forget_old() -> None:
    """Delete log entries and events older than thirty days."""
    before = timezone.now() - timedelta(days=LOG_DAYS)
    Delivery.objects.filter(created__lt=before).delete()
    Announcement.objects.filter(created__lt=before).delete()


def _may_be_sent_to(webhook: Webhook, now: datetime) -> bool:
    rests = webhook.rests_until is not None and webhook.rests_until > now
    return webhook.is_enabled and not rests and webhook.stands


def _refusal(status_code: int) -> str:
    """Why a response is not a success; empty if it is."""
    if 200 <= status_code < 300 or status_code == ALREADY_THERE:
        return ""
    if 300 <= status_code < 400:
        return "The address answered with a redirect, which is not followed."
    return f"The address answered with status {status_code}."


@transaction.atomic
def _keep(delivery: Delivery, answer: Answer | None, error: str, duration_ms: int) -> None:
    """Log an attempt and update the delivery; does nothing if the lease was lost meanwhile."""
    now = timezone.now()
    state, due_at = _what_follows(delivery, answer, error, now)
    if not retries.note_attempt(delivery, state, due_at, now):
        return
    delivery.attempts.create(
        status_code=answer and answer.status_code,
        duration_ms=duration_ms,
        error=error[:200],
        answer=answer.text if answer else "",
    )
    if not error:
        Webhook.objects.filter(pk=delivery.webhook_id).update(failures=0, rests_until=None)
    elif not delivery.is_test:
        _count_failure(delivery, answer, state == DeliveryState.FAILED, now)


def _what_follows(
    delivery: Delivery, answer: Answer | None, error: str, now: datetime
) -> tuple[DeliveryState, datetime]:
    if not error:
        return DeliveryState.DELIVERED, delivery.due_at
    is_gone = answer is not None and answer.status_code == GONE
    return retries.after_failure(
        delivery,
        now,
        retry_after=answer and answer.retry_after,
        is_final=delivery.is_test or is_gone,
    )


def _count_failure(
    delivery: Delivery, answer: Answer | None, has_failed: bool, now: datetime
) -> None:
    webhook = Webhook.objects.select_for_update().get(pk=delivery.webhook_id)
    retries.let_rest(webhook, now)
    began = delivery.given_up_at - timedelta(hours=RETRY_HOURS)
    got_through = webhook.deliveries.filter(state=DeliveryState.DELIVERED, finished_at__gte=began)
    if answer is not None and answer.status_code == GONE:
        _disable(webhook, "The address answered that it is gone for good (410).")
    elif has_failed and not got_through.exists():
        _disable(webhook, f"Nothing got through for {RETRY_HOURS} hours.")


def _disable(webhook: Webhook, reason: str) -> None:
    now = timezone.now()
    off = Webhook.objects.enabled().filter(pk=webhook.pk)
    if off.update(disabled_at=now, disabled_reason=reason, modified=now):
        transaction.on_commit(lambda: _tell_those_who_manage(webhook, reason), robust=True)


def _tell_those_who_manage(webhook: Webhook, reason: str) -> None:
    """Mail the owner or, for a clinic's webhook, each of its admins separately, unless they have
    switched such mail off. The webhook's page says it in any case.
    """
    admins = Q(memberships__clinic=webhook.clinic_id, memberships__role=Role.ADMIN)
    people = User.objects.filter(admins if webhook.clinic_id else Q(webhooks=webhook.pk))
    name = " ".join(webhook.name.split())  # a subject has no line breaks
    address = f"{settings.SITE_URL}{reverse('webhook', args=[webhook.pk])}"
    for user in people.filter(is_active=True, mails_reminders=True):
        message = EmailMessage(
            subject=f"Webhook “{name}” was switched off",
            body=(
                f"SkinCheck no longer sends events to “{name}”. {reason}\n\n"
                "Once the other system receives again, switch it on here. What failed can be sent "
                f"again from its log:\n{address}"
            ),
            to=[user.email],
            headers={"Auto-Submitted": "auto-generated", **unsubscribing.headers(user)},
        )
        mail.deliver(message, f"that webhook {webhook.pk} is off")
