"""The sweep: finds work whose notification was lost, and does it if no worker responds.

A separate process that needs no broker. It rings for waiting work. If the rows show that no worker
has started anything for as long as a lease, it does the work itself until nothing waits.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import close_old_connections
from django.db.models import Q
from django.utils import timezone

from screening import bells
from screening.batches import worker
from screening.comparisons import services as comparison_services
from screening.comparisons import setbacks
from screening.exports import worker as export_worker
from screening.images import services as image_services
from screening.measurements import services as measurement_services
from screening.models import Prediction
from screening.operations import clock, heartbeats
from screening.predictions import details, queue, recovery
from screening.privacy import services as audit
from screening.privacy.recording import recorded
from screening.webhooks import outbox

logger = logging.getLogger(__name__)

PROBE = "probe"
LONGEST_EXPORT = 3600
"""Seconds. One that takes longer counts as an attempt."""


def sweep_for_ever() -> None:
    while True:
        sweep_once()
        time.sleep(settings.PREDICTION_SWEEP_SECONDS)


def sweep_once() -> None:
    """Run each step separately: a failing one does not block the others."""
    for step in (
        clock.tick,
        _try_the_storage,
        details.queue_some_again,
        sweep_predictions,
        sweep_follow_ups,
        sweep_batches,
        sweep_exports,
        outbox.ring,
        audit.chain_all,
        work_where_nobody_does,
    ):
        close_old_connections()
        try:
            with recorded(through="worker", what=f"sweep: {step.__name__}"):
                step()
        except Exception:
            logger.exception("a step of the sweep failed; the others continue")
    close_old_connections()


def sweep_predictions() -> None:
    age = timedelta(seconds=settings.PREDICTION_LEASE_SECONDS)
    for prediction in recovery.sweep(rung_before=timezone.now() - age):
        if not bells.read(prediction):
            return


def sweep_follow_ups() -> None:
    left = (
        *measurement_services.unmeasured(),
        *comparison_services.uncompared(),
        *image_services.without_screen(),
        *setbacks.due(),
    )
    for image in left:
        if not bells.remind_of_follow_up(image.pk):
            return


def sweep_batches() -> None:
    worker.sweep()
    if worker.has_work():
        bells.work_on_batches()


def sweep_exports() -> None:
    export_worker.sweep()
    if export_worker.has_work():
        bells.work_on_exports()


def work_where_nobody_does() -> None:
    """Read images and work on batches while rows wait that no worker starts."""
    if not nobody_works():
        return
    logger.warning("no worker starts the waiting work: the sweep does it")
    while _read_next() or _work_a_shift() or _export_next():
        clock.tick()


def nobody_works() -> bool:
    """Whether there is work but no live worker, or none that has started anything for as long as a
    lease while something waited.
    """
    now, alive = timezone.now(), heartbeats.is_alive(heartbeats.WORKER)
    seconds = settings.PREDICTION_LEASE_SECONDS if alive else settings.PREDICTION_SWEEP_SECONDS
    since = now - timedelta(seconds=seconds)
    # What seems to come from the future was there before the clock was set back.
    waits = Q(created__lt=since) | Q(created__gt=now + clock.SLACK)
    if Prediction.objects.claimable().filter(waits).exists():
        begun = Prediction.objects.filter(started_at__range=(since, now + clock.SLACK))
        return not (alive and begun.exists())
    return not alive and (worker.has_work() or export_worker.has_work())


def _read_next() -> bool:
    """Read the next image. Returns whether there was one that no longer waits."""
    waiting = Prediction.objects.claimable().order_by("setbacks", "is_bulk", "created")
    pk = waiting.values_list("pk", flat=True).first()
    if pk is None:
        return False
    try:
        with _limit(settings.CELERY_TASK_TIME_LIMIT):
            queue.process(pk)
    except Exception:
        logger.exception("prediction %s: failed", pk)
    return not waiting.filter(pk=pk).exists()


def _work_a_shift() -> bool:
    if not worker.has_work():
        return False
    with _limit(worker.LONGEST_SHIFT_SECONDS):
        worker.work(seconds=worker.SHIFT_SECONDS, ring=lambda: None)
    return True


def _export_next() -> bool:
    with _limit(LONGEST_EXPORT):
        return export_worker.work()


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    """A hanging step ends this process, as it would a worker: the lease expires, and the attempt
    counts.
    """
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _try_the_storage() -> None:
    """Report whether files can be written, which public health pages do not test."""
    default_storage.delete(PROBE)
    default_storage.delete(default_storage.save(PROBE, ContentFile(b"ok")))
    heartbeats.beat(heartbeats.STORAGE)
