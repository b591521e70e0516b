"""Read path of batches: progress, and the problems of each row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from django.db.models import Count, Q

from screening.models import Batch, BatchRow, State
from screening.models.batch import BatchQuerySet

ROWS_AT_ONCE = 500
_OF = BatchRow.State
_IMPORTED = Q(rows__state=_OF.IMPORTED)
# A known picture may have no reading; then there is none to wait for.
_READ = Q(rows__prediction=None) | Q(rows__prediction__state=State.SUCCEEDED)
_COUNTED = {
    "waiting": Q(rows__state__in=(_OF.WAITING, _OF.RUNNING)),
    "checked": Q(rows__state=_OF.CHECKED),
    "imported": _IMPORTED,
    "known": _IMPORTED & Q(rows__was_known=True),
    "read": _IMPORTED & _READ,
    "failed": _IMPORTED & Q(rows__prediction__state=State.FAILED),
    "refused": Q(rows__state=_OF.REFUSED),
}


@dataclass(frozen=True)
class Counts:
    """Counts of rows. imported: their images are in the record; known: they were there before;
    read: by the model; failed: imported, but the reading failed; refused: see the problems.
    """

    rows: int
    waiting: int
    checked: int
    imported: int
    known: int
    read: int
    failed: int
    refused: int

    @property
    def done(self) -> int:
        """Rows that need no more work."""
        return self.checked + self.read + self.failed + self.refused


@dataclass(frozen=True)
class Problem:
    row: int
    image: str
    column: str
    reason: str


def with_counts(batches: BatchQuerySet) -> BatchQuerySet:
    """Annotate the counts for ``counts_of`` in the same query."""
    return batches.annotate(
        count_rows=Count("rows"),
        **{f"count_{name}": Count("rows", filter=rows) for name, rows in _COUNTED.items()},
    )


def counts_of(batch: Any) -> Counts:
    """The counts of a batch ``with_counts``."""
    return Counts(**{one.name: getattr(batch, f"count_{one.name}") for one in fields(Counts)})


def problems_of(batch: Batch) -> Iterator[Problem]:
    """All problems by row, a few at a time in memory: of rejected rows, and differences of imported
    rows from existing records.
    """
    last = 0
    told = batch.rows.exclude(problems=[]).order_by("number")
    while rows := list(told.filter(number__gt=last)[:ROWS_AT_ONCE]):
        for row in rows:
            for column, reason in row.problems:
                yield Problem(row.number, row.picture, column, reason)
        last = rows[-1].number
