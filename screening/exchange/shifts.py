"""What a worker does for batches, a short shift at a time.

The rows say what is to be done, and each is claimed as a prediction is: one conditional UPDATE with
a lease. A worker that is killed loses its lease, and the row is begun again. Between any two steps
the worker reads what a person waits for, so that no process need be kept idle for that.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from screening import tasks
from screening.exchange import importing
from screening.exchange.archives import ArchiveRefused
from screening.exchange.ending import end_if_done, remove_archive
from screening.exchange.taking_in import archive_of, put_archive_away, take_in
from screening.models import ACTIVE, ACTIVE_BATCH, MAX_ATTEMPTS, Batch, BatchRow, Prediction, State
from screening.predictions import queue

logger = logging.getLogger(__name__)

KEEP_UNFINISHED = timedelta(days=7)
BUG = "Something went wrong here, and it has been logged. Send this row again."
NEVER_FINISHED = f"It was begun {MAX_ATTEMPTS} times and never finished. Send this row again."


def has_work() -> bool:
    """Whether there is anything that a worker could begin now."""
    return (
        _not_taken_in().exists()
        or BatchRow.objects.filter(
            batch__state__in=ACTIVE_BATCH, batch__has_rows=True, state=BatchRow.State.WAITING
        ).exists()
        or _not_followed_up().exists()
    )


def work(*, seconds: float, ring: Callable[[], None]) -> None:
    """Do what waits, as long as there is any, for about ``seconds``.

    ring: tells another worker. At the beginning, so that an idle process comes to help and a busy
    one goes on after its shift; and when a manifest is taken in: a worker that was told before saw
    no row yet, and went away.
    """
    ring()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not (read_for_someone() or _step(ring) or _follow_up()):
            put_archive_away()
            break
    tasks.ring_webhooks()


def sweep() -> None:
    """Mend what a lost worker left behind, end what is at its end, remove what nobody resumed."""
    now = timezone.now()
    expired = BatchRow.objects.filter(state=BatchRow.State.RUNNING, lease_expires_at__lt=now)
    expired.filter(attempts__gte=MAX_ATTEMPTS).update(
        state=BatchRow.State.REFUSED, problems=[["", NEVER_FINISHED]], lease_expires_at=None
    )
    expired.update(state=BatchRow.State.WAITING, lease_expires_at=None)
    for batch in Batch.objects.filter(state__in=ACTIVE_BATCH, has_rows=True):
        end_if_done(batch)
    unfinished = Batch.objects.exclude(archive="").exclude(state__in=ACTIVE_BATCH)
    for batch in unfinished.filter(created__lt=now - KEEP_UNFINISHED):
        remove_archive(batch)


def read_for_someone() -> bool:
    """Read one image that a person waits for, if there is any. Whatever fails in it is not the
    batch's fault: it is logged, and the batch goes on."""
    waiting = Prediction.objects.filter(state=State.QUEUED, is_bulk=False).order_by("created")
    pk = waiting.values_list("pk", flat=True).first()
    if pk is None:
        return False
    try:
        tasks.read_prediction_task(str(pk))
    except Exception:
        logger.exception("prediction %s: failed between the rows of a batch", pk)
        return False
    return True


def _step(ring: Callable[[], None]) -> bool:
    """Whether something was done for the oldest batch that has something to do."""
    active = Batch.objects.filter(state__in=ACTIVE_BATCH).select_related("clinic", "created_by")
    for batch in active.order_by("created"):
        if batch.state == Batch.State.QUEUED:
            if _claim_batch(batch):
                take_in(batch, between=_meanwhile)
                ring()
                return True
        elif (row := _claim_row(batch)) is not None:
            _work_on(row)
            return True
        else:
            end_if_done(batch)
    return False


def _meanwhile(batch: Batch) -> None:
    """A long manifest holds up nobody, and is not taken for lost."""
    _read_for_all()
    Batch.objects.filter(pk=batch.pk).update(lease_expires_at=_lease())


def _lease() -> datetime:
    return timezone.now() + timedelta(seconds=settings.PREDICTION_LEASE_SECONDS)


def _read_for_all() -> None:
    while read_for_someone():
        pass


def _not_taken_in() -> QuerySet[Batch]:
    free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=timezone.now())
    return Batch.objects.filter(free, state=Batch.State.QUEUED)


def _claim_batch(batch: Batch) -> bool:
    """For one caller only, until the lease expires."""
    free = _not_taken_in().filter(pk=batch.pk)
    return bool(free.update(lease_expires_at=_lease(), attempts=F("attempts") + 1))


def _claim_row(batch: Batch) -> BatchRow | None:
    """WAITING -> RUNNING, for one caller only. What was tried before comes last."""
    waiting = batch.rows.filter(state=BatchRow.State.WAITING)
    in_turn = waiting.order_by("attempts", "id").values_list("pk", flat=True)
    while (pk := in_turn.first()) is not None:
        if waiting.filter(pk=pk).update(
            state=BatchRow.State.RUNNING, attempts=F("attempts") + 1, lease_expires_at=_lease()
        ):
            row = BatchRow.objects.get(pk=pk)
            row.batch = batch
            return row
    return None


def _work_on(row: BatchRow) -> None:
    """RUNNING -> CHECKED, IMPORTED or REFUSED; WAITING again after what is not the row's fault."""
    try:
        if row.batch.state == Batch.State.CHECKING:
            importing.check(row, archive_of(row.batch))
            _leave(row, BatchRow.State.CHECKED)
        else:
            importing.bring_in(row, archive_of(row.batch))
    except importing.RowRefused as refusal:
        _leave(row, BatchRow.State.REFUSED, problems=refusal.problems)
    except ArchiveRefused as reason:
        _leave(row, BatchRow.State.REFUSED, problems=[["", str(reason)]])
    except importing.LeaseLost:
        logger.warning("batch row %s: the lease was lost before it was finished", row.pk)
    except PermissionDenied as reason:
        _leave(row, BatchRow.State.WAITING)
        Batch.objects.filter(pk=row.batch_id, state=Batch.State.IMPORTING).update(
            state=Batch.State.CANCELLED, failure=str(reason)
        )
    except Exception:
        logger.exception("batch row %s: failed", row.pk)
        if row.attempts < MAX_ATTEMPTS:
            _leave(row, BatchRow.State.WAITING)
        else:
            _leave(row, BatchRow.State.REFUSED, problems=[["", BUG]])
    else:
        if row.prediction is not None:
            _read_for_all()
            _read(row.prediction)


def _leave(row: BatchRow, state: str, **fields: object) -> None:
    """If another worker took over, nothing is written."""
    BatchRow.objects.filter(pk=row.pk, state=BatchRow.State.RUNNING, attempts=row.attempts).update(
        state=state, lease_expires_at=None, **fields
    )


def _read(prediction: Prediction) -> None:
    claimed = queue.claim(prediction.pk)
    if claimed is None:
        return
    try:
        queue.read(claimed)
    except Exception:  # it is marked as failed; the other rows go on
        logger.warning("prediction %s: not read, within a batch", claimed.pk)


def _not_followed_up() -> QuerySet[BatchRow]:
    imported = BatchRow.objects.filter(state=BatchRow.State.IMPORTED, followed_up=False)
    return imported.exclude(prediction__state__in=ACTIVE)


def _follow_up() -> bool:
    """Measure and compare one image, when all of its batch is read. Should the worker be killed in
    it, the sweep of what is unmeasured comes upon it."""
    row = _not_followed_up().order_by("id").first()
    if row is None:
        return False
    if BatchRow.objects.filter(pk=row.pk, followed_up=False).update(followed_up=True):
        try:
            tasks.follow_up_task(str(row.image_id))
        except Exception:
            logger.exception("image %s: not followed up", row.image_id)
    return True
