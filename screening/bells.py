"""Notify workers by task name, so that only workers load ``screening.tasks``.

A ring is only a hint. The row waits in the database and the sweep finds it without one, so an
unavailable broker is no reason to fail. Each function returns whether the broker accepted it.
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

REMINDED_WITHIN = 30
"""Seconds. One notification of an image's follow-up is enough for this long, and then it expires,
so that a slow worker's queue holds at most one for each image.
"""
COMPARED_WITHIN = 30
"""Seconds after which a worker is notified again of a comparison that someone waits for."""
BATCHES_EXPIRE = 30
"""Seconds after which a message about batches expires: the sweep rings again regularly."""
EXPORTS_EXPIRE = 30


def after_commit(bell: Callable[..., Any], *args: Any) -> None:
    """Ring once the transaction is committed, because the worker must find the row."""

    def ring() -> None:  # a named function, since Django logs its name if it fails
        bell(*args)

    transaction.on_commit(ring, robust=True)


def read(prediction: Prediction) -> bool:
    queue = "bulk" if prediction.is_bulk else "interactive"
    return _ring("read_prediction_task", str(prediction.pk), queue=queue)


def follow_up(image_id: UUID) -> bool:
    """Have the image measured and compared with its neighbours."""
    return _ring("follow_up_task", str(image_id))


def remind_of_follow_up(image_id: UUID) -> bool:
    """Like ``follow_up``, for images whose first notification may be lost or may still be
    queued.
    """
    if not cache.add(f"follow-up-{image_id}", True, REMINDED_WITHIN):
        return True
    return _ring("follow_up_task", str(image_id), expires=REMINDED_WITHIN)


def compare(one: LesionImage, other: LesionImage) -> None:
    """Have two images compared, once, however often a page asks in the meantime."""
    pair = sorted([str(one.pk), str(other.pk)])
    if cache.add(f"compare-{'-'.join(pair)}", True, COMPARED_WITHIN):
        _ring("compare_task", pair, queue="interactive")


def deliver(delivery_id: UUID) -> bool:
    return _ring("deliver_webhook_task", str(delivery_id), queue="webhooks")


def store(delivery_id: UUID) -> bool:
    """Have a picture sent to a DICOM node."""
    return _ring("store_in_node_task", str(delivery_id), queue="webhooks")


def work_on_batches() -> bool:
    return _ring("work_on_batches_task", queue="bulk", expires=BATCHES_EXPIRE)


def work_on_exports() -> bool:
    return _ring("work_on_exports_task", queue="bulk", expires=EXPORTS_EXPIRE)


def _ring(task: str, *args: Any, **options: Any) -> bool:
    name = f"screening.tasks.{task}"
    # A worker has the task; other processes have not loaded it.
    known = current_app.tasks.get(name)
    try:
        if known is not None:
            known.apply_async(args, **options)
        else:
            current_app.send_task(name, args, **options)
    except Exception as error:
        logger.warning("%s: the broker did not accept the message, %s", task, type(error).__name__)
        return False
    return True
