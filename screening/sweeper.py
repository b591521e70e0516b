"""The sweep: finds work whose notification was lost, and does it if no worker responds.

A separate process that needs no broker. It rings for waiting work. If the rows show that no worker
has started anything for as long as a lease, it does the work itself until nothing waits. Without a
live worker it measures, compares and mails; without a live courier it sends webhooks, and
pictures to DICOM nodes. Who hangs in a task counts as none.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import close_old_connections
from django.db.models import Q
from django.utils import timezone

from accounts import invitations
from screening import bells
from screening.batches import worker
from screening.comparisons import follow_up, setbacks
from screening.comparisons import services as comparison_services
from screening.exports import emails as export_emails
from screening.exports import worker as export_worker
from screening.images import encryption
from screening.images import services as image_services
from screening.interop.dicomweb import sending
from screening.measurements import services as measurement_services
from screening.models import Prediction
from screening.operations import clock, heartbeats
from screening.predictions import adoption, details, queue, recovery
from screening.privacy import services as audit
from screening.privacy.recording import recorded
from screening.reminders import emails
from screening.webhooks import delivery, outbox
from skincheck_site.beat import BY_DAY

logger = logging.getLogger(__name__)
Item = TypeVar("Item")

PROBE = "probe"
LONGEST_EXPORT = 3600
"""Seconds. A step that takes longer counts as an attempt."""
LONGEST_MAIL, MAILS_EVERY = 60, 1200
LONGEST_STORE = 20
"""Seconds for a picture to a DICOM node, less than a courier takes: a node that hangs delays all
that the sweep does.
"""
SHIFT_SECONDS = 60
"""Seconds of other work after which the sweeper checks whether an image waits to be read."""


def sweep_for_ever() -> None:
    while True:
        sweep_once()
        time.sleep(settings.PREDICTION_SWEEP_SECONDS)


def sweep_once() -> None:
    """Run each step separately, so that a failing step does not block the others."""
    for step in (
        clock.tick,
        _try_the_storage,
        adoption.adopt_own,
        details.queue_some_again,
        sweep_predictions,
        sweep_follow_ups,
        sweep_batches,
        sweep_exports,
        export_worker.remove_old,
        export_emails.send_waiting,
        outbox.ring,
        sending.ring,
        audit.chain_all,
        seal_moved_pictures,
        work_where_nobody_does,
        follow_up_where_nobody_does,
        mail_where_nobody_does,
        deliver_where_nobody_does,
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
    for pk in _not_followed_up():
        if not bells.remind_of_follow_up(pk):
            return


def sweep_batches() -> None:
    worker.sweep()
    if worker.has_work():
        bells.work_on_batches()


def sweep_exports() -> None:
    export_worker.sweep()
    if export_worker.has_work():
        bells.work_on_exports()


def seal_moved_pictures() -> None:
    """Encrypt with the present patient's key."""
    for image in _for_a_shift(encryption.under_anothers_key()):
        with _limit(settings.CELERY_TASK_TIME_LIMIT):
            encryption.seal_moved(image)


def work_where_nobody_does() -> None:
    """Read images and process batches while rows wait that no worker starts."""
    if not nobody_works():
        return
    logger.warning("no worker starts the waiting work: the sweep does it")
    while _read_next() or _work_a_shift() or _export_next():
        _report()


def follow_up_where_nobody_does() -> None:
    """Measure and compare. An image that kills this process rests longer each time."""
    if heartbeats.is_at_work(heartbeats.WORKER):
        return
    for pk in _for_a_shift(_not_followed_up()):
        with _limit(settings.CELERY_TASK_TIME_LIMIT):
            follow_up.follow_up(pk)


def mail_where_nobody_does() -> None:
    """What beat has a worker mail, at the same hours."""
    if heartbeats.is_at_work(heartbeats.WORKER) and heartbeats.is_alive(heartbeats.BEAT):
        return
    if not _mails.are_due():
        return
    for invitation in _for_a_shift(invitations.unmailed()):
        with _limit(LONGEST_MAIL):
            invitations.mail(invitation)
    if timezone.localtime().hour in BY_DAY:
        for user_id, reminder_ids in _for_a_shift(emails.addressees().items()):
            with _limit(LONGEST_MAIL):
                emails.send(user_id, reminder_ids)


def deliver_where_nobody_does() -> None:
    if heartbeats.is_at_work(heartbeats.COURIER):
        return
    for pk in _for_a_shift(delivery.due(rung_before=timezone.now())):
        with _limit(delivery.LEASE_SECONDS):
            if claimed := delivery.claim(pk):
                delivery.deliver(claimed)
    for pk in _for_a_shift(sending.due(rung_before=timezone.now())):
        with _limit(sending.LEASE_SECONDS):
            if stored := sending.claim(pk):
                sending.deliver(stored, seconds=LONGEST_STORE)


def nobody_works() -> bool:
    """Whether work waits and no worker is alive, or none has started anything for the length of a
    lease.
    """
    now, alive = timezone.now(), heartbeats.is_alive(heartbeats.WORKER)
    seconds = settings.PREDICTION_LEASE_SECONDS if alive else settings.PREDICTION_SWEEP_SECONDS
    since = now - timedelta(seconds=seconds)
    # Timestamps in the future are from before the clock was set back.
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


class _Mails:
    """Spaces out attempts, so that a mail server that refuses is not asked in every sweep."""

    def __init__(self) -> None:
        self._due_at = 0.0

    def are_due(self) -> bool:
        is_due = time.monotonic() >= self._due_at
        if is_due:
            self._due_at = time.monotonic() + MAILS_EVERY
        return is_due


_mails = _Mails()


def _not_followed_up() -> list[UUID]:
    left = (
        *measurement_services.unmeasured(),
        *comparison_services.uncompared(),
        *image_services.without_screen(),
        *setbacks.due(),
    )
    return list(dict.fromkeys(image.pk for image in left))


def _for_a_shift(items: Iterable[Item]) -> Iterator[Item]:
    """Items that can be begun within ``SHIFT_SECONDS``. The next sweep finds the others."""
    ends = time.monotonic() + SHIFT_SECONDS
    for item in items:
        _report()
        yield item
        if time.monotonic() > ends:
            return


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    """End this process if a step hangs, as would happen to a worker: the lease expires, and the
    attempt counts.
    """
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _report() -> None:
    """Report between two items of a long step, so that health does not miss the sweeper or the
    storage that it tests.
    """
    clock.tick()
    try:
        _try_the_storage()
    except Exception as error:  # steps that need storage fail by themselves
        logger.warning("the storage keeps no file: %s", type(error).__name__)


def _try_the_storage() -> None:
    """Report whether files can be written, which public health pages do not test."""
    default_storage.delete(PROBE)
    default_storage.delete(default_storage.save(PROBE, ContentFile(b"ok")))
    heartbeats.beat(heartbeats.STORAGE)
