"""Recovery of readings whose worker died or that no worker was notified of."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from screening.models import (
    MAX_ATTEMPTS,
    Prediction,
    State,
)
from screening.predictions.queue import finish

logger = logging.getLogger(__name__)

# A sweep notifies workers of at most this many: a long queue does not need a second message per
# row.
SWEEP_LIMIT = 500


def sweep(*, rung_before: datetime) -> list[Prediction]:
    """Repair the effects of lost workers and lost messages.

    RUNNING with an expired lease -> QUEUED, or FAILED after MAX_ATTEMPTS. Returns the queued
    predictions whose last notification is older than ``rung_before``; the caller rings for them.
    """
    now = timezone.now()
    expired = Prediction.objects.filter(state=State.RUNNING, lease_expires_at__lt=now)
    hopeless = expired.filter(attempts__gte=MAX_ATTEMPTS)
    for prediction in hopeless.select_related("image__lesion__patient"):
        _give_up(prediction)
    expired.filter(attempts__lt=MAX_ATTEMPTS).update(
        state=State.QUEUED, lease_expires_at=None, rung_at=None, modified=now
    )
    waiting = list(
        Prediction.objects.claimable()
        .filter(Q(rung_at=None) | Q(rung_at__lt=rung_before))
        .order_by("is_bulk", "created")
        .only("pk", "is_bulk")[:SWEEP_LIMIT]
    )
    Prediction.objects.filter(pk__in=[one.pk for one in waiting], state=State.QUEUED).update(
        rung_at=now
    )
    return waiting


def _give_up(prediction: Prediction) -> None:
    """RUNNING -> FAILED. An error is logged: it must not keep the others from being found."""
    failure = f"Reading was begun {MAX_ATTEMPTS} times and never finished. Try again."
    try:
        finish(prediction, state=State.FAILED, failure=failure)
    except Exception:
        logger.exception("prediction %s: not given up", prediction.pk)
