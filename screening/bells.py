"""Ring a worker, by a task's name: only a worker loads ``screening.tasks``.

A bell is no more than a hint. The row waits, and the sweep finds it without one, so a broker that
is away is no reason to fail. Each bell says whether the broker took it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from celery import current_app
from django.core.cache import cache
from django.db import transaction

from screening.models import LesionImage, Prediction

logger = logging.getLogger(__name__)

COMPARED_WITHIN = 30
"""Seconds after which a worker is told again of a comparison that someone waits for."""
BATCHES_EXPIRE = 30
"""Seconds after which a bell for batches is one too many: the sweep rings again now and then."""


def after_commit(bell: Callable[..., Any], *args: Any) -> None:
    """Ring once the transaction is committed: a worker must find the row."""

    def ring() -> None:  # a function, since Django logs the name of what failed
        bell(*args)

    transaction.on_commit(ring, robust=True)


def read(prediction: Prediction) -> bool:
    queue = "bulk" if prediction.is_bulk else "interactive"
    return _ring("read_prediction_task", str(prediction.pk), queue=queue)


def follow_up(image_id: UUID) -> bool:
    """Have the image measured, and compared with its neighbours."""
    return _ring("follow_up_task", str(image_id))


def compare(one: LesionImage, other: LesionImage) -> None:
    """Have two images compared: once, however often a page asks meanwhile."""
    pair = sorted([str(one.pk), str(other.pk)])
    if cache.add(f"compare-{'-'.join(pair)}", True, COMPARED_WITHIN):
        _ring("compare_task", pair, queue="interactive")


def deliver(delivery_id: UUID) -> bool:
    return _ring("deliver_webhook_task", str(delivery_id), queue="webhooks")


def work_on_batches() -> bool:
    return _ring("work_on_batches_task", queue="bulk", expires=BATCHES_EXPIRE)


def _ring(task: str, *args: Any, **options: Any) -> bool:
    name = f"screening.tasks.{task}"
    known = current_app.tasks.get(name)  # to a worker, not to what only rings
    try:
        if known is not None:
            known.apply_async(args, **options)
        else:
            current_app.send_task(name, args, **options)
    except Exception as error:
        logger.warning("%s: no bell, %s", task, type(error).__name__)
        return False
    return True
