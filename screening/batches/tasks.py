"""Celery shells for batches. The work is in the room; the rows are the truth."""

from __future__ import annotations

import logging

from celery import shared_task  # noqa: TID251  shells of this room: screening.tasks lies above it
from celery.signals import worker_ready
from django.db import transaction

from screening.batches import worker

logger = logging.getLogger(__name__)

# Short, so that nothing else that waits for a worker waits long.
SHIFT_SECONDS = 4.0
# A manifest is taken in at once.
LONGEST_SHIFT_SECONDS = 120
# A bell that nobody hears for so long is one too many: the sweep adds one now and then.
BELL_SECONDS = 30


@shared_task(soft_time_limit=LONGEST_SHIFT_SECONDS - 10, time_limit=LONGEST_SHIFT_SECONDS)
def work_on_batches_task() -> None:
    """One shift."""
    if worker.has_work():
        worker.work(seconds=SHIFT_SECONDS, ring=_tell_a_worker)


def sweep_batches() -> None:
    worker.sweep()
    if worker.has_work():
        _tell_a_worker()


def ring() -> None:
    """Tell a worker once the transaction is committed, as ``screening.tasks.ring`` does."""
    transaction.on_commit(_tell_a_worker, robust=True)


def _tell_a_worker() -> None:
    """A broker that is away is no reason to fail: the rows wait, and are found without a bell."""
    try:
        work_on_batches_task.apply_async(queue="bulk", expires=BELL_SECONDS)
    except Exception as error:
        logger.warning("batches: no bell, %s", type(error).__name__)


@worker_ready.connect
def _ring_for_what_waits(**_: object) -> None:
    """The embedded broker starts empty, and Redis may have lost messages."""
    sweep_batches()
