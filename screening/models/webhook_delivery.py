from __future__ import annotations

import json

from django.db import models
from django.db.models import Q

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.outbox import DeliveryState, Outgoing, OutgoingQuerySet, life_cycle
from screening.models.webhook import Event, Webhook

TEST_EVENT = "webhook.test"
EVERY_EVENT = [*Event.choices, (TEST_EVENT, "A test")]
ANSWER_KEPT = 2000
"""The number of characters of a response that the log keeps."""


class DeliveryQuerySet(OutgoingQuerySet["Delivery"]):
    def visible_to(self, user: User) -> DeliveryQuerySet:
        return self.filter(webhook__in=Webhook.objects.visible_to(user))

    def failed(self) -> DeliveryQuerySet:
        return self.filter(state=DeliveryState.FAILED)


class Delivery(Outgoing):
    """One event on its way to one endpoint. Its identifier is the ``webhook-id`` of every attempt.

    Only ``screening.webhooks`` changes the state.
    """

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=20, choices=EVERY_EVENT)
    data = models.JSONField(default=dict, editable=False, help_text="Identifiers only.")

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        verbose_name_plural = "deliveries"
        indexes = [models.Index(fields=["state", "due_at"], name="delivery_state_due")]
        constraints = [
            models.CheckConstraint(
                condition=Q(event__in=[*Event.values, TEST_EVENT]), name="event_is_known"
            ),
            *life_cycle("delivery"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook_id}"

    @property
    def is_test(self) -> bool:
        return self.event == TEST_EVENT

    @property
    def body(self) -> str:
        """The text that is signed and sent, identical at every attempt."""
        message = {
            "type": self.event,
            "timestamp": self.created.isoformat().replace("+00:00", "Z"),
            "data": dict(sorted(self.data.items())),
        }
        return json.dumps(message, separators=(",", ":"))


class DeliveryAttempt(UUIDModel):
    """The result of one attempt. ``status_code`` is empty if no answer came: see ``error``."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    status_code = models.PositiveSmallIntegerField(null=True, editable=False)
    duration_ms = models.PositiveIntegerField(editable=False)
    error = models.CharField(max_length=200, blank=True, editable=False)
    answer = models.CharField(max_length=ANSWER_KEPT, blank=True, editable=False)

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status_code__isnull=False) | ~Q(error=""),
                name="attempt_has_an_answer_or_an_error",
            ),
        ]

    def __str__(self) -> str:
        return self.error or str(self.status_code)

    @property
    def is_delivered(self) -> bool:
        return not self.error
