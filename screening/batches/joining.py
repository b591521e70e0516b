"""Several tables of one archive as one: ISIC's challenges come with the metadata in one table and
the truth in another, both by picture or by lesion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from screening.batches.archives import Batchable, shown
from screening.batches.lines import Line, Table
from screening.errors import ArchiveRefused
from screening.interop.isic.columns import LESION, PICTURE, number, said

MAX_JOINED_CELLS = 1_000_000
"""Of the tables that are joined to the first, which are kept in memory: 60 MB."""
_PICTURES_SUFFIX = re.compile(r"\.(jpe?g|png|webp|hei[cf]|dcm)$")


class Joined:
    """The rows of the table that names the pictures, completed from the other tables. Raises
    ArchiveRefused for tables that do not belong together.
    """

    def __init__(self, upload: Batchable) -> None:
        tables = [Table(upload, name) for name in upload.manifests]
        self._main = max(tables, key=lambda one: (_names(one, PICTURE), _names(one, LESION)))
        if not _names(self._main, PICTURE):
            names = ", ".join(PICTURE)
            raise ArchiveRefused(f"No column of the manifest names the pictures: {names}.")
        self._others: list[_Other] = []
        cells = 0
        for table in tables:
            if table is not self._main:
                self._others.append(_Other(table, self._main, MAX_JOINED_CELLS - cells))
                cells += self._others[-1].cells

    def lines(self) -> Iterator[Line]:
        for line in self._main.lines():
            for other in self._others:
                other.complete(line)
            yield line
        for other in self._others:
            other.require_all_found()


class _Other:
    """A table with one row for each picture or lesion of the main one."""

    def __init__(self, table: Table, main: Table, most: int) -> None:
        self._name, self._main = shown(table.name), shown(main.name)
        keys = [key for key in (PICTURE, LESION) if _names(table, key) and _names(main, key)]
        if not keys:
            raise self._stranger("they have no column of pictures or lesions in common")
        self._key = keys[0]
        self._rows: dict[str, Line] = {}
        self._found: set[str] = set()
        self.cells = 0
        for line in table.lines():
            self._add(line)
            if self.cells > most:
                raise ArchiveRefused(f"{self._name} is too large to be joined. Send it in parts.")

    def complete(self, line: Line) -> None:
        """Add what this table has to a row of the main one."""
        key = _key(line, self._key)
        if not key:  # the row is refused for it
            return
        if key not in self._rows:
            raise self._stranger(f"{shown(key)} is in {self._main} only")
        self._found.add(key)
        row = self._rows[key]
        for column, value in row.record.items():
            own = line.record.get(column, "")
            if not said(own):
                line.record[column] = value
            elif column not in self._key and said(value) and not _is_same(own, value):
                text = f"Row {row.number} of {self._name} has “{value[:80]}”."
                line.problems.append([column, text])

    def require_all_found(self) -> None:
        if missing := next((key for key in self._rows if key not in self._found), ""):
            raise self._stranger(f"{shown(missing)} is in {self._name} only")

    def _add(self, line: Line) -> None:
        key = _key(line, self._key)
        problem = line.problems[0][1] if line.problems else ""
        if not key:
            problem = problem or "It names no picture or lesion."
        elif key in self._rows:
            problem = f"{shown(key)} is in row {self._rows[key].number} already."
        if problem:
            raise ArchiveRefused(f"Row {line.number} of {self._name}: {problem}")
        self._rows[key] = line
        self.cells += len(line.record)

    def _stranger(self, why: str) -> ArchiveRefused:
        return ArchiveRefused(
            f"The tables {self._main} and {self._name} do not belong together: {why}. Correct "
            "them, or keep one."
        )


def _names(table: Table, key: tuple[str, ...]) -> bool:
    return not set(key).isdisjoint(table.columns)


def _key(line: Line, names: tuple[str, ...]) -> str:
    """One table may name a file where another names the picture."""
    value = next((value for name in names if (value := said(line.record.get(name, "")))), "")
    return _PICTURES_SUFFIX.sub("", value.casefold())


def _is_same(one: str, other: str) -> bool:
    one, other = said(one).casefold(), said(other).casefold()
    return one == other or (number(one) is not None and number(one) == number(other))
