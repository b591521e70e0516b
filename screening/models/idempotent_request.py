from __future__ import annotations

from django.db import models

from screening.models.base import UUIDModel


class IdempotentRequest(UUIDModel):
    """A POST request with an Idempotency-Key, and the response to it.

    A request is claimed (``locked_until``), then answered. If the lease expires without an answer,
    a repeated request takes over the claim.
    """

    caller = models.CharField(max_length=60, help_text="The key, application or person.")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the address and the body.")
    locked_until = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["caller", "key"], name="idempotency_key_is_used_once"),
            models.CheckConstraint(
                condition=models.Q(answered_at=None) | models.Q(status__isnull=False),
                name="answered_request_has_a_status",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.caller}"
