"""Rows of an outbox: what is on its way to another system, and the system that receives it.

Events for webhooks and pictures for DICOM nodes. ``webhooks.retries`` changes their state.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import models
from django.db.models import CheckConstraint, Q
from django.utils import timezone

from screening.models.base import UUIDModel

RETRY_HOURS = 24

T = TypeVar("T", bound="Outgoing")


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    SENDING = "sending", "Being sent"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


OVER = (DeliveryState.DELIVERED, DeliveryState.FAILED)


def a_day_from_now() -> datetime:
    return timezone.now() + timedelta(hours=RETRY_HOURS)


class Receiver(UUIDModel):
    """A system that deliveries are sent to. After failures it rests, longer each time."""

    failures = models.PositiveIntegerField(
        default=0, editable=False, help_text="Failed attempts since the last success."
    )
    rests_until = models.DateTimeField(
        null=True, editable=False, help_text="After failures, nothing is sent until then."
    )

    class Meta:
        abstract = True


class OutgoingQuerySet(models.QuerySet[T]):
    def due(self, now: datetime) -> OutgoingQuerySet[T]:
        return self.filter(state=DeliveryState.WAITING, due_at__lte=now)

    def lost(self, now: datetime) -> OutgoingQuerySet[T]:
        """Deliveries that a worker started and never finished."""
        return self.filter(state=DeliveryState.SENDING, lease_expires_at__lt=now)

    def rung_before(self, moment: datetime) -> OutgoingQuerySet[T]:
        return self.filter(Q(rung_at=None) | Q(rung_at__lt=moment))


class Outgoing(UUIDModel):
    """One delivery to one receiver.

    WAITING -> SENDING -> DELIVERED | WAITING (retry later) | FAILED.
    """

    state = models.CharField(
        max_length=9, choices=DeliveryState, default=DeliveryState.WAITING, editable=False
    )
    due_at = models.DateTimeField(default=timezone.now, editable=False)
    given_up_at = models.DateTimeField(
        default=a_day_from_now, editable=False, help_text="No attempts are made after this."
    )
    tries = models.PositiveSmallIntegerField(default=0, editable=False)
    rung_at = models.DateTimeField(
        null=True, editable=False, help_text="When a worker was last notified; empty: not yet."
    )
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    @property
    def is_over(self) -> bool:
        return self.state in OVER


def life_cycle(noun: str) -> list[Any]:
    """The constraints on the state of an ``Outgoing``. noun: names the model in their names."""
    return [
        CheckConstraint(condition=Q(state__in=DeliveryState.values), name=f"{noun}_state_is_known"),
        CheckConstraint(
            condition=~Q(state=DeliveryState.SENDING) | Q(lease_expires_at__isnull=False),
            name=f"{noun}_that_is_sent_has_lease",
        ),
        CheckConstraint(
            condition=Q(state__in=OVER, finished_at__isnull=False)
            | (~Q(state__in=OVER) & Q(finished_at__isnull=True)),
            name=f"only_a_{noun}_that_is_over_is_finished",
        ),
    ]
