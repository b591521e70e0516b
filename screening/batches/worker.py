"""Work on batches, in short shifts.

The rows state what to do, and each is claimed like a prediction: one conditional UPDATE with a
lease. If a worker is killed its lease expires, and the row is started again. Between any two steps
the worker reads images that a person is waiting for, so no process has to be reserved for that.
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

from screening.batches import rows
from screening.batches.completion import end_if_done, remove_archive
from screening.batches.ingest import archive_of, put_archive_away, read_manifest
from screening.comparisons import follow_up
from screening.errors import ArchiveRefused, LeaseLost, RowRefused
from screening.models import ACTIVE, ACTIVE_BATCH, MAX_ATTEMPTS, Batch, BatchRow, Prediction
from screening.operations.transience import MAX_SETBACKS, insist, is_transient, pause
from screening.predictions import queue

logger = logging.getLogger(__name__)

KEEP_UNFINISHED = timedelta(days=7)
BUG = "Something went wrong here, and it has been logged. Send this row again."
AWAY = "What it needs could not be reached for a day. Resume it when it can."
NEVER_FINISHED = f"It was begun {MAX_ATTEMPTS} times and never finished. Send this row again."


def has_work() -> bool:
    """Whether there is anything that a worker could start now."""
    rows_wait = BatchRow.objects.filter(
        batch__in=Batch.objects.workable(), batch__has_rows=True, state=BatchRow.State.WAITING
    )
    return _not_taken_in().exists() or rows_wait.exists() or _not_followed_up().exists()


SHIFT_SECONDS = 4.0
"""Seconds. Short, so that other tasks do not wait long."""
LONGEST_SHIFT_SECONDS = 120
"""Seconds. A manifest is read in one go."""


def work(*, seconds: float, ring: Callable[[], object]) -> None:
    """Do the waiting work, as long as there is any, for about ``seconds``.

    ring: notifies another worker. Called at the start, so that an idle process joins and a busy one
    continues after its shift; and when a manifest has been read, since workers notified earlier
    found no rows and left.
    """
    ring()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not (queue.read_for_someone() or _step(ring) or _follow_up()):
            put_archive_away()
            break


def sweep() -> None:
    """Recover rows of lost workers, finish completed batches, and delete archives that nobody
    resumed.
    """
    now = timezone.now()
    expired = BatchRow.objects.filter(state=BatchRow.State.RUNNING, lease_expires_at__lt=now)
    expired.update(state=BatchRow.State.WAITING, lease_expires_at=None)
    _hopeless().update(state=BatchRow.State.REFUSED, problems=[["", NEVER_FINISHED]])
    for batch in Batch.objects.filter(state__in=ACTIVE_BATCH, has_rows=True):
        _each_by_itself(end_if_done, batch)
    unfinished = Batch.objects.exclude(archive="").exclude(state__in=ACTIVE_BATCH)
    for batch in unfinished.filter(created__lt=now - KEEP_UNFINISHED):
        _each_by_itself(remove_archive, batch)


def _each_by_itself(act: Callable[[Batch], None], batch: Batch) -> None:
    """Retry a failed step, for example of the storage, later, without blocking the other
    batches.
    """
    try:
        act(batch)
    except Exception as error:
        logger.warning("batch %s: not finished, %s", batch.pk, type(error).__name__)


def _step(ring: Callable[[], object]) -> bool:
    """Do one step for the oldest batch with work. Returns whether anything was done. A batch that
    fails pauses, and the next one is tried.
    """
    workable = Batch.objects.workable().select_related("clinic", "created_by")
    for batch in workable.order_by("setbacks", "created"):
        try:
            if _step_for(batch, ring):
                return True
        except Exception as error:
            _put_off(batch, error)
    return False


def _step_for(batch: Batch, ring: Callable[[], object]) -> bool:
    if batch.state == Batch.State.QUEUED:
        if not _claim_batch(batch):
            return False
        read_manifest(batch, between=_meanwhile)
        ring()
    elif (row := _claim_row(batch)) is not None:
        _work_on(row)
    else:
        end_if_done(batch)
        return False
    if batch.setbacks:
        Batch.objects.filter(pk=batch.pk).update(setbacks=0, rests_until=None)
    return True


def _put_off(batch: Batch, error: Exception) -> None:
    """Pause the batch. After a transient error the attempt does not count. After a day the batch is
    cancelled; it can be resumed.
    """
    setbacks, passes = batch.setbacks + 1, is_transient(error)
    is_new = setbacks == 1 and not passes
    logger.warning("batch %s: put off, %s", batch.pk, type(error).__name__, exc_info=is_new)
    put_archive_away()
    this = Batch.objects.filter(pk=batch.pk, state__in=ACTIVE_BATCH)
    this.update(setbacks=setbacks, rests_until=timezone.now() + pause(setbacks))
    if batch.state == Batch.State.QUEUED:
        this.update(lease_expires_at=None)
        if passes:
            this.filter(attempts__gt=0).update(attempts=F("attempts") - 1)
    if setbacks > MAX_SETBACKS:
        this.update(state=Batch.State.CANCELLED, failure=AWAY, setbacks=0, rests_until=None)


def _hopeless() -> QuerySet[BatchRow]:
    """Rows that have used all their attempts."""
    return BatchRow.objects.filter(state=BatchRow.State.WAITING, attempts__gte=MAX_ATTEMPTS)


def _meanwhile(batch: Batch) -> None:
    """Called between parts of a long manifest: read for people who wait, and renew the lease."""
    _read_for_all()
    Batch.objects.filter(pk=batch.pk).update(lease_expires_at=_lease())


def _lease() -> datetime:
    return timezone.now() + timedelta(seconds=settings.PREDICTION_LEASE_SECONDS)


def _read_for_all() -> None:
    while queue.read_for_someone():
        pass


def _not_taken_in() -> QuerySet[Batch]:
    free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=timezone.now())
    return Batch.objects.workable().filter(free, state=Batch.State.QUEUED)


def _claim_batch(batch: Batch) -> bool:
    """Claim the batch for one caller only, until the lease expires."""
    free = _not_taken_in().filter(pk=batch.pk)
    return bool(free.update(lease_expires_at=_lease(), attempts=F("attempts") + 1))


def _claim_row(batch: Batch) -> BatchRow | None:
    """WAITING -> RUNNING, for one caller only. Rows tried before come last."""
    waiting = batch.rows.filter(state=BatchRow.State.WAITING, attempts__lt=MAX_ATTEMPTS)
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
    """RUNNING -> CHECKED, IMPORTED or REFUSED; WAITING again after a bug.

    After a transient error the row is WAITING as if it had not been started, and the error is
    raised so that the whole batch pauses.
    """
    try:
        if row.batch.state == Batch.State.CHECKING:
            remarks = rows.check(row, archive_of(row.batch))
            _leave(row, BatchRow.State.CHECKED, problems=remarks)
        else:
            rows.import_row(row, archive_of(row.batch))
    except RowRefused as refusal:
        _leave(row, BatchRow.State.REFUSED, problems=refusal.problems)
    except ArchiveRefused as reason:
        _leave(row, BatchRow.State.REFUSED, problems=[["", str(reason)]])
    except LeaseLost:
        logger.warning("batch row %s: the lease was lost before it was finished", row.pk)
    except PermissionDenied as reason:
        _leave(row, BatchRow.State.WAITING)
        Batch.objects.filter(pk=row.batch_id, state=row.batch.state).update(
            state=Batch.State.CANCELLED, failure=str(reason)
        )
    except Exception as error:
        if is_transient(error):
            insist(lambda: _leave(row, BatchRow.State.WAITING, attempts=row.attempts - 1))
            raise
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
    """Store the result; writes nothing if another worker has taken over."""
    BatchRow.objects.filter(pk=row.pk, state=BatchRow.State.RUNNING, attempts=row.attempts).update(
        state=state, lease_expires_at=None, **fields
    )


def _read(prediction: Prediction) -> None:
    claimed = queue.claim(prediction.pk)
    if claimed is None:
        return
    try:
        queue.read(claimed)
    except Exception:  # it is marked as failed; the other rows continue
        logger.warning("prediction %s: not read in a batch", claimed.pk)


def _not_followed_up() -> QuerySet[BatchRow]:
    imported = BatchRow.objects.filter(state=BatchRow.State.IMPORTED, followed_up=False)
    return imported.exclude(prediction__state__in=ACTIVE)


def _follow_up() -> bool:
    """Measure and compare one image, once all of its batch is read. If the worker is killed, the
    sweep for unmeasured images picks it up.
    """
    row = _not_followed_up().order_by("id").first()
    if row is None or row.image_id is None:
        return False
    if BatchRow.objects.filter(pk=row.pk, followed_up=False).update(followed_up=True):
        try:
            follow_up.follow_up(row.image_id)
        except Exception:
            logger.exception("image %s: not followed up", row.image_id)
    return True
