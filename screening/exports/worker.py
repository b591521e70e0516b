"""Build exports, under the contract of all workers: a claim by one conditional UPDATE with a lease,
a pause after a transient error, and failure after ``MAX_ATTEMPTS`` of any other.

Between two files, the worker reads images that a person is waiting for.
"""

from __future__ import annotations

import logging
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from hashlib import file_digest
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.base import File
from django.db.models import F, Q
from django.utils import timezone

from screening.errors import LeaseLost
from screening.exports import archive, emails, services
from screening.models import MAX_ATTEMPTS, Export
from screening.operations.transience import MAX_SETBACKS, insist, is_transient, pause
from screening.predictions import queue

logger = logging.getLogger(__name__)

State = Export.State

KEPT = timedelta(days=7)
"""How long a file can be downloaded."""
LEASE = timedelta(minutes=5)
"""Longer than any report of one record takes."""
NOTED_EVERY = 2.0
"""Seconds between two progress updates."""
BUG = "Something went wrong here, and it has been logged. Ask for it again."
AWAY = "What it needs could not be reached for a day. Ask for it again."
NOT_YOURS = "You may no longer export this record."
NEVER_FINISHED = f"It was begun {MAX_ATTEMPTS} times and never finished. Ask for it again."


def has_work() -> bool:
    return Export.objects.claimable().filter(attempts__lt=MAX_ATTEMPTS).exists()


def work() -> bool:
    """Build the next export; those that failed before come last. Returns whether there was one."""
    waiting = Export.objects.claimable().order_by("setbacks", "attempts", "created")
    pk = waiting.values_list("pk", flat=True).first()
    export = claim(pk) if pk else None
    if export is None:
        return False
    make(export)
    return True


def claim(pk: UUID) -> Export | None:
    """QUEUED -> RUNNING, for one caller only; None for every other."""
    now = timezone.now()
    claimed = (
        Export.objects.claimable()
        .filter(pk=pk, attempts__lt=MAX_ATTEMPTS)
        .update(
            state=State.RUNNING,
            attempts=F("attempts") + 1,
            lease_expires_at=now + LEASE,
            steps_done=0,
            modified=now,
        )
    )
    if not claimed:
        return None
    return Export.objects.select_related("requested_by", "patient").get(pk=pk)


def make(export: Export) -> None:
    """RUNNING -> READY, or FAILED with a message for the user; QUEUED again after a transient
    error.
    """
    try:
        _require_right(export)
        _build(export)
    except LeaseLost:
        logger.warning("export %s: the lease was lost before it was finished", export.pk)
    except (PermissionDenied, ValidationError) as reason:
        said = " ".join(reason.messages) if isinstance(reason, ValidationError) else NOT_YOURS
        _leave(export, state=State.FAILED, failure=said[:200])
    except Exception as error:
        with suppress(LeaseLost):
            _put_off(export, error)
    else:
        emails.send(export.pk)


def sweep() -> None:
    """Recover exports of lost workers."""
    expired = Export.objects.filter(state=State.RUNNING, lease_expires_at__lt=timezone.now())
    expired.update(state=State.QUEUED, lease_expires_at=None)
    hopeless = Export.objects.filter(state=State.QUEUED, attempts__gte=MAX_ATTEMPTS)
    hopeless.update(state=State.FAILED, failure=NEVER_FINISHED)


def remove_old() -> None:
    services.end(Export.objects.filter(expires_at__lte=timezone.now()))


def _require_right(export: Export) -> None:
    user = export.requested_by
    if not user.is_active:
        raise PermissionDenied(NOT_YOURS)
    services.require_exportable(user=user, patient=export.patient)


def _build(export: Export) -> None:
    plan = archive.plan(export)
    progress = _Progress(export, plan.steps)
    with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file:
        archive.write(plan, file, progress.step)
        progress.note()
        _finish(export, plan, file)


def _finish(export: Export, plan: archive.Plan, file: Any) -> None:
    """Store the file, and end earlier ready exports of the same record."""
    size = file.tell()
    services.require_room(export=export, size=size)
    file.seek(0)
    digest = file_digest(file, "sha256").hexdigest()
    file.seek(0)
    export.file.save("export", File(file), save=False)
    now = timezone.now()
    try:
        insist(
            lambda: _leave(
                export,
                state=State.READY,
                file=export.file.name,
                file_bytes=size,
                sha256=digest,
                patients=[str(pk) for pk in plan.patients],
                steps_done=F("steps"),
                finished_at=now,
                expires_at=now + KEPT,
                setbacks=0,
            )
        )
    except BaseException:
        export.file.storage.delete(str(export.file.name))
        raise
    services.end(services.before(export))


def _put_off(export: Export, error: Exception) -> None:
    """RUNNING -> QUEUED after a pause. After a transient error the attempt does not count. FAILED
    when the attempts are used up, or after a day.
    """
    setbacks, passes = export.setbacks + 1, is_transient(error)
    trace = None if passes else error
    logger.warning("export %s: put off, %s", export.pk, type(error).__name__, exc_info=trace)
    if setbacks > MAX_SETBACKS or not (passes or export.attempts < MAX_ATTEMPTS):
        insist(lambda: _leave(export, state=State.FAILED, failure=AWAY if passes else BUG))
        return
    insist(
        lambda: _leave(
            export,
            state=State.QUEUED,
            attempts=export.attempts - 1 if passes else export.attempts,
            setbacks=setbacks,
            rests_until=timezone.now() + pause(setbacks),
        )
    )


def _leave(export: Export, **fields: object) -> None:
    """Store the result. Raises LeaseLost if another worker has taken over."""
    this = Export.objects.filter(pk=export.pk, state=State.RUNNING, attempts=export.attempts)
    if not this.update(lease_expires_at=None, modified=timezone.now(), **fields):
        raise LeaseLost


class _Progress:
    """Called after each file: read for people who wait, report progress, and renew the lease."""

    def __init__(self, export: Export, steps: int) -> None:
        self._export, self._steps = export, steps
        self._done, self._noted = 0, time.monotonic()
        self.note()

    def step(self) -> None:
        self._done += 1
        while queue.read_for_someone():
            pass
        if time.monotonic() - self._noted > NOTED_EVERY:
            self.note()

    def note(self) -> None:
        """Raises LeaseLost if the lease was lost."""
        self._noted = time.monotonic()
        this = Export.objects.filter(
            Q(lease_expires_at__isnull=False),
            pk=self._export.pk,
            state=State.RUNNING,
            attempts=self._export.attempts,
        )
        if not this.update(
            steps=self._steps,
            steps_done=min(self._done, self._steps),
            lease_expires_at=timezone.now() + LEASE,
        ):
            raise LeaseLost
