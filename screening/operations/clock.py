"""What waits for a moment, after the clock was set back.

Leases, pauses and bells are moments by the clock of this machine. Those that were written before it
was set back lie further ahead than any should, and what waits for them would wait for an hour. All
that is measured within one process is measured by a clock that cannot be set (``time.monotonic``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from screening.models import (
    Batch,
    BatchRow,
    Delivery,
    Heartbeat,
    Prediction,
    Setback,
    Webhook,
)
from screening.operations import heartbeats

logger = logging.getLogger(__name__)

SLACK = timedelta(seconds=5)
"""A clock that is put right by less is passed over."""


def _at_once() -> timedelta:
    return timedelta()


def _lease() -> timedelta:
    """Who works on it may go on."""
    return timedelta(seconds=settings.PREDICTION_LEASE_SECONDS)


AWAITED: tuple[tuple[type[models.Model], str, Callable[[], timedelta]], ...] = (
    (Prediction, "lease_expires_at", _lease),
    (Prediction, "rests_until", _at_once),
    (Prediction, "rung_at", _at_once),
    (Batch, "lease_expires_at", _lease),
    (Batch, "rests_until", _at_once),
    (BatchRow, "lease_expires_at", _lease),
    (Delivery, "lease_expires_at", _lease),
    (Delivery, "due_at", _at_once),
    (Delivery, "rung_at", _at_once),
    (Webhook, "rests_until", _at_once),
    (Setback, "rests_until", _at_once),
    (Heartbeat, "beat_at", _at_once),
)
"""Each moment that something waits for or is counted from, and how far ahead it may lie at the most
once the clock was set back."""


def was_set_back() -> bool:
    """Whether the sweeper's last beat is still to come."""
    now = timezone.now()
    beats = Heartbeat.objects.filter(name=heartbeats.SWEEPER, beat_at__gt=now + SLACK)
    return beats.exists()


def put_right() -> None:
    """Post: nothing waits for a moment of the clock as it was before."""
    if not was_set_back():
        return
    now = timezone.now()
    logger.warning("the clock was set back: what waits for a later moment does not wait for it")
    for model, field, ahead in AWAITED:
        _bring_forward(model, field, now + ahead())


def _bring_forward(model: type[models.Model], field: str, most: datetime) -> None:
    later = {f"{field}__gt": most}
    model._default_manager.filter(**later).update(**{field: most})
