"""Write path of webhooks: changes to endpoints, and deliveries started by hand.

Admins manage the clinic's webhooks, people their own. Functions as in ``records.services``.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import Clinic, User
from accounts.services import lock_members, lock_person, require_clinic_admin
from screening import bells
from screening.models import (
    TEST_EVENT,
    Delivery,
    DeliveryState,
    Event,
    Webhook,
)
from screening.models.outbox import OVER, a_day_from_now
from screening.webhooks import outbox, retries
from screening.webhooks.targets import check_target

WEBHOOK_FIELDS = ("name", "target", "events")
MAX_WEBHOOKS = 10
BY_HAND = "It was switched off by hand."


@transaction.atomic
def add_webhook(*, user: User, clinic: Clinic | None = None, **fields: Any) -> Webhook:
    """Subscribe this address to events of the clinic or, without one, of the user's own record."""
    clinic = clinic or user.bound_clinic
    if clinic is not None:
        require_clinic_admin(user=user, clinic=clinic)
    webhook = Webhook(clinic=clinic, owner=None if clinic else user)
    _answer_for(webhook, user)
    # The others are counted, so nobody adds one meanwhile.
    if clinic is not None:
        lock_members(clinic.pk)
    else:
        lock_person(user)
    if Webhook.objects.filter(clinic=clinic, owner=webhook.owner).count() >= MAX_WEBHOOKS:
        raise ValidationError(f"There are {MAX_WEBHOOKS} webhooks already. Remove one first.")
    return _save(webhook, fields)


@transaction.atomic
def edit_webhook(*, user: User, webhook: Webhook, **fields: Any) -> Webhook:
    """Change the webhook. The user becomes responsible for a clinic's webhook."""
    _require_manageable(user, webhook)
    _answer_for(webhook, user)
    return _save(webhook, fields)


@transaction.atomic
def rotate_secret(*, user: User, webhook: Webhook) -> Webhook:
    """Sign with a new secret. The previous one signs too for a day; older ones stop.

    This gives the other system time to switch without losing events.
    """
    _require_manageable(user, webhook)
    now = timezone.now()
    Webhook.objects.filter(pk=webhook.pk).update(
        secret_version=F("secret_version") + 1, rotated_at=now, modified=now
    )
    webhook.refresh_from_db()
    return webhook


@transaction.atomic
def switch_on(*, user: User, webhook: Webhook) -> Webhook:
    """Enable the webhook. The user becomes responsible for a clinic's webhook, and waiting
    deliveries get a full day of retries again.
    """
    _require_manageable(user, webhook)
    if not webhook.is_enabled or not webhook.stands:
        _answer_for(webhook, user)
        webhook.disabled_at, webhook.disabled_reason = None, ""
        webhook.failures, webhook.rests_until = 0, None
        webhook.save()
        waiting = webhook.deliveries.filter(state=DeliveryState.WAITING)
        waiting.update(due_at=timezone.now(), rung_at=None, given_up_at=a_day_from_now())
        bells.after_commit(outbox.ring)
    return webhook


@transaction.atomic
def switch_off(*, user: User, webhook: Webhook) -> Webhook:
    """Disable the webhook. Nothing is sent, and events meanwhile are not stored for it."""
    _require_manageable(user, webhook)
    if webhook.is_enabled:
        webhook.disabled_at, webhook.disabled_reason = timezone.now(), BY_HAND
        webhook.save()
    return webhook


@transaction.atomic
def remove_webhook(*, user: User, webhook: Webhook) -> None:
    """Delete the endpoint and its log."""
    _require_manageable(user, webhook)
    webhook.delete()


@transaction.atomic
def send_test(*, user: User, webhook: Webhook) -> Delivery:
    """Send a test event. It is tried once, even while the webhook is disabled."""
    _require_manageable(user, webhook)
    delivery = Delivery.objects.create(
        webhook=webhook, event=TEST_EVENT, data={"webhook": str(webhook.pk)}
    )
    bells.after_commit(outbox.ring)
    return delivery


@transaction.atomic
def resend(*, user: User, delivery: Delivery) -> Delivery:
    """Send the same event again, with the same identifier, with a full day of retries."""
    webhook = delivery.webhook
    _require_manageable(user, webhook)
    _require_on(webhook)
    if not delivery.is_over:
        raise ValidationError("This is on its way already.")
    _send_again(Delivery.objects.filter(pk=delivery.pk))
    delivery.refresh_from_db()
    return delivery


@transaction.atomic
def resend_failed(*, user: User, webhook: Webhook) -> int:
    """Send all failed deliveries again. Returns their number."""
    _require_manageable(user, webhook)
    _require_on(webhook)
    return _send_again(webhook.deliveries.failed().exclude(event=TEST_EVENT))


def _send_again(deliveries: Any) -> int:
    count = retries.send_again(deliveries.filter(state__in=OVER), tries=0)
    bells.after_commit(outbox.ring)
    return count


def _require_manageable(user: User, webhook: Webhook) -> None:
    if not Webhook.objects.visible_to(user).contains(webhook):
        raise PermissionDenied("Only an admin of the clinic manages its webhooks.")


def _answer_for(webhook: Webhook, user: User) -> None:
    webhook.registered_by = user if webhook.clinic_id else None


def _require_on(webhook: Webhook) -> None:
    if not webhook.is_enabled or not webhook.stands:
        raise ValidationError("This webhook is switched off. Switch it on first.")


def _save(webhook: Webhook, fields: dict[str, Any]) -> Webhook:
    unknown = fields.keys() - set(WEBHOOK_FIELDS)
    if unknown:
        raise TypeError(f"Webhook takes no {', '.join(sorted(unknown))}")
    for name, value in fields.items():
        setattr(webhook, name, value.strip() if isinstance(value, str) else value)
    if not webhook.events or not set(webhook.events) <= set(Event.values):
        raise ValidationError({"events": f"Choose among {', '.join(Event.values)}."})
    webhook.events = [event for event in Event.values if event in webhook.events]
    check_target(webhook.target)
    webhook.full_clean()
    webhook.save()
    return webhook
