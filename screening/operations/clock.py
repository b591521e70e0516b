"""Timestamps to wait for, after the system clock was set back.

Leases, pauses and bells are stored as wall clock times. After the clock is set back by an hour,
those written before lie up to an hour too far in the future, and everything would wait for them.
Durations within one process are measured with ``time.monotonic``, which nobody can set.
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
    DicomDelivery,
    DicomNode,
    Erasure,
    Export,
    Heartbeat,
    Prediction,
    Setback,
    Webhook,
)
from screening.operations import heartbeats

logger = logging.getLogger(__name__)

SLACK = timedelta(seconds=5)
"""Smaller corrections of the clock are ignored."""


def _at_once() -> timedelta:
    return timedelta()


def _four_minutes() -> timedelta:
    return timedelta(minutes=4)


def _an_hour() -> timedelta:
    return timedelta(hours=1)


def _a_day() -> timedelta:
    return timedelta(days=1)


def _lease() -> timedelta:
    return timedelta(seconds=settings.PREDICTION_LEASE_SECONDS)


AWAITED: tuple[tuple[type[models.Model], str, Callable[[], timedelta]], ...] = (
    (Prediction, "lease_expires_at", _lease),
    (Prediction, "rests_until", _at_once),
    (Prediction, "rung_at", _at_once),
    (Batch, "lease_expires_at", _lease),
    (Batch, "rests_until", _at_once),
    (BatchRow, "lease_expires_at", _lease),
    (Export, "lease_expires_at", _lease),
    (Export, "rests_until", _at_once),
    (Erasure, "rests_until", _an_hour),
    (Delivery, "lease_expires_at", _lease),
    (Delivery, "due_at", _at_once),
    (Delivery, "given_up_at", _a_day),
    (Delivery, "rung_at", _at_once),
    (Webhook, "rests_until", _at_once),
    (DicomDelivery, "lease_expires_at", _four_minutes),
    (DicomDelivery, "due_at", _at_once),
    (DicomDelivery, "given_up_at", _a_day),
    (DicomDelivery, "rung_at", _at_once),
    (DicomNode, "rests_until", _at_once),
    (Setback, "rests_until", _at_once),
    (Heartbeat, "beat_at", _at_once),
)
"""Every timestamp that background work waits for, and how far ahead it may lie after the clock was
set back. Current leases hold. Heartbeats come last: an interrupted run is repeated."""


def tick() -> None:
    """Record the sweeper's heartbeat. If the clock was set back since the last one, release
    everything that waits for a later time.

    ``now`` is read once. If the clock is set back after that, the next tick notices.
    """
    now = timezone.now()
    last = Heartbeat.objects.filter(name=heartbeats.SWEEPER)
    if last.filter(beat_at__gt=now + SLACK).exists():
        logger.warning("the clock was set back: nothing waits for the old time any more")
        for model, field, ahead in AWAITED:
            _bring_forward(model, field, now + ahead())
    heartbeats.beat(heartbeats.SWEEPER, now)


def _bring_forward(model: type[models.Model], field: str, most: datetime) -> None:
    later = {f"{field}__gt": most}
    model._default_manager.filter(**later).update(**{field: most})
