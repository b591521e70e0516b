"""Attempts to deliver: the claim, what follows a failure, and sending again.

For events to webhooks and pictures to DICOM nodes (``models.outbox``).
"""

from __future__ import annotations

import logging
import random
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, F, QuerySet, When
from django.utils import timezone

from screening.models import DeliveryState
from screening.models.outbox import Outgoing, OutgoingQuerySet, Receiver, a_day_from_now

logger = logging.getLogger(__name__)

FIRST_PAUSE = 10
PAUSE_GROWTH = 3
LONGEST_PAUSE = 5 * 3600
LONGEST_REST = 300
"""Seconds. For a delivery after a failure, and for its receiver, whose other deliveries wait
meanwhile.
"""
DUE_LIMIT = 500
"""Deliveries that one sweep looks at."""


def claim(due: OutgoingQuerySet[Any], *, seconds: int) -> bool:
    """WAITING -> SENDING, for one caller only. ``due`` selects the delivery while it is due; the
    lease lasts ``seconds``.
    """
    now = timezone.now()
    claimed = due.update(
        state=DeliveryState.SENDING,
        tries=F("tries") + 1,
        # If we were down before the first attempt, the receiver still gets a full day of retries.
        given_up_at=Case(When(tries=0, then=a_day_from_now()), default=F("given_up_at")),
        lease_expires_at=now + timedelta(seconds=seconds),
        modified=now,
    )
    return claimed == 1


def held(delivery: Outgoing) -> QuerySet[Any]:
    """The row of a claimed delivery; nothing once the lease was lost, or the row was erased."""
    rows = type(delivery)._default_manager
    return rows.filter(pk=delivery.pk, state=DeliveryState.SENDING, tries=delivery.tries)


def note_attempt(
    delivery: Outgoing, state: DeliveryState, due_at: datetime, now: datetime, **found: Any
) -> bool:
    """SENDING -> ``state``. False, and nothing is noted, if the lease was lost meanwhile."""
    noted = held(delivery).update(
        state=state,
        due_at=due_at,
        rung_at=None,
        lease_expires_at=None,
        finished_at=None if state == DeliveryState.WAITING else now,
        modified=now,
        **found,
    )
    if not noted:
        kind = delivery._meta.verbose_name
        logger.warning("%s %s: the lease was lost before it was finished", kind, delivery.pk)
    return noted == 1


def after_failure(
    delivery: Outgoing, now: datetime, *, retry_after: int | None, is_final: bool
) -> tuple[DeliveryState, datetime]:
    """The next state, and when the delivery is due: WAITING for the next attempt, or FAILED.

    retry_after: seconds that the receiver asked for.
    """
    wait = max(pause(delivery.tries), min(retry_after or 0, LONGEST_PAUSE))
    due_at = now + timedelta(seconds=wait)
    if is_final or due_at > delivery.given_up_at:
        return DeliveryState.FAILED, delivery.due_at
    return DeliveryState.WAITING, due_at


def let_rest(receiver: Receiver, now: datetime) -> None:
    """Count a failure, and send nothing to the receiver for a while. Lock its row first."""
    receiver.failures += 1
    rest = min(FIRST_PAUSE * 2 ** min(receiver.failures - 1, 10), LONGEST_REST)
    receiver.rests_until = now + timedelta(seconds=rest)
    receiver.save(update_fields=["failures", "rests_until", "modified"])


def send_again(deliveries: QuerySet[Any], **changes: Any) -> int:
    """Put finished deliveries back in the queue, for another day of attempts."""
    now = timezone.now()
    return deliveries.update(
        state=DeliveryState.WAITING,
        due_at=now,
        given_up_at=a_day_from_now(),
        rung_at=None,
        finished_at=None,
        modified=now,
        **changes,
    )


def pause(tries: int) -> float:
    """Seconds until the next attempt: three times as long each time, plus or minus a fifth."""
    seconds = min(FIRST_PAUSE * PAUSE_GROWTH ** min(tries - 1, 20), LONGEST_PAUSE)
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311  it keeps no secret
