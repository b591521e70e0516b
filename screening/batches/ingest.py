"""Reads the manifest of an uploaded batch into rows, and opens the archive for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO
from uuid import UUID

from django.utils import timezone

from screening.batches.archives import JSONLinesBatch, ZippedBatch, opened
from screening.batches.completion import refuse
from screening.batches.manifests import Entry, Manifest
from screening.errors import ArchiveRefused
from screening.models import MAX_ATTEMPTS, Batch, BatchRow

ROWS_AT_ONCE = 500


class _Kept:
    """The archive that this process read last. Opening it again for each row would take longer than
    the row itself, because the directory of ten thousand pictures is read each time.
    """

    batch: UUID | None = None
    file: IO[bytes] | None = None
    archive: ZippedBatch | JSONLinesBatch | None = None


def archive_of(batch: Batch) -> ZippedBatch | JSONLinesBatch:
    """The batch's archive. Raises ArchiveRefused, and OSError if the file is temporarily
    unavailable.
    """
    if _Kept.archive is None or _Kept.batch != batch.pk:
        put_archive_away()
        _Kept.file = batch.archive.storage.open(str(batch.archive.name))
        _Kept.archive = opened(_Kept.file)
        _Kept.batch = batch.pk
    return _Kept.archive


def put_archive_away() -> None:
    if _Kept.file is not None:
        _Kept.file.close()
    _Kept.batch = _Kept.file = _Kept.archive = None


def read_manifest(batch: Batch, *, between: Callable[[Batch], None]) -> None:
    """QUEUED -> CHECKING or IMPORTING, with a row for each line; or REFUSED.

    Repeated after a worker was killed, it keeps the existing rows and adds the rest. between:
    called regularly.
    """
    if batch.attempts >= MAX_ATTEMPTS:
        refuse(batch, "Reading the manifest was begun several times and never finished.")
        return
    try:
        manifest = Manifest(
            archive_of(batch),
            captured_on=batch.captured_on or timezone.localdate(batch.created),
            day_is_told=batch.captured_on is not None,
            own=batch.is_own,
        )
        entries = manifest.entries()
        while chunk := list(islice(_rows(batch, entries), ROWS_AT_ONCE)):
            BatchRow.objects.bulk_create(chunk, ignore_conflicts=True)
            between(batch)
    except ArchiveRefused as reason:
        refuse(batch, str(reason))
        return
    this = Batch.objects.filter(pk=batch.pk)
    this.update(
        has_rows=True,
        unknown_columns=sorted(manifest.unknown_columns)[:50],
        attempts=0,
        lease_expires_at=None,
    )
    next_state = Batch.State.CHECKING if batch.dry_run else Batch.State.IMPORTING
    this.filter(state=Batch.State.QUEUED).update(state=next_state)


def _rows(batch: Batch, entries: Iterator[Entry]) -> Iterator[BatchRow]:
    for entry in entries:
        row = entry.row
        yield BatchRow(
            batch=batch,
            number=entry.number,
            state=BatchRow.State.REFUSED if row.problems else BatchRow.State.WAITING,
            picture=row.picture[:500],
            entry=entry.entry,
            offset=entry.offset,
            values=row.values,
            source=row.source,
            problems=row.problems,
        )
