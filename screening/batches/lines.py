"""The lines of a manifest: of a table in a ZIP, or of JSON lines in a ZIP or alone."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from screening.batches.archives import Batchable
from screening.errors import ArchiveRefused
from skincheck_site import untrusted_json

MAX_ROWS = 25_000
MAX_COLUMNS = 200
MAX_VALUE = 2_000
MAX_ROW = 1_000_000
"""Characters: twice as many as all columns with the longest values. Each cell costs 50 bytes."""
MAX_PARTS = 5_000
"""Lists, objects and commas in a line of JSON."""
_LINE = re.compile(rb"[^\r\n]*+(?:\r\n?|\n)|[^\r\n]+")

INLINE = "image_base64"


@dataclass
class Line:
    """One row of the manifest. number: as a spreadsheet or an editor counts it."""

    number: int
    offset: int | None
    record: dict[str, str]
    problems: list[list[str]] = field(default_factory=list)


class Table:
    """A table, whose rows can be read once. columns: in lower case."""

    def __init__(self, upload: Batchable, name: str) -> None:
        self.name = name
        self._texts = _Texts(_decoded(upload, name))
        head, self._number = next(self._texts, ""), 1
        self._delimiter = max(",;\t", key=head.count)
        if told := re.fullmatch(r"sep=([,;\t])\s*", head, re.IGNORECASE):  # a line of Excel's
            self._delimiter, head, self._number = told[1], next(self._texts, ""), 2
        with _readable(self._number):
            cells = next(csv.reader([head], delimiter=self._delimiter), [])
        self.columns = [cell.strip().lower() for cell in cells]
        _require_sound(self.columns)

    def lines(self) -> Iterator[Line]:
        reader = csv.reader(self._texts, delimiter=self._delimiter)
        number = self._number
        while True:
            number += 1
            self._texts.taken = 0
            with _readable(number):
                cells = next(reader, None)
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield self._line(number, cells)

    def _line(self, number: int, cells: list[str]) -> Line:
        line = Line(number, None, {})
        if any(cell.strip() for cell in cells[len(self.columns) :]):
            line.problems = [["", "The row has more cells than the header has columns."]]
        for name, cell in zip(self.columns, cells, strict=False):
            _set(line, name, cell)
        return line


class _Texts:
    """Lines of a table, of which no row takes too many: one goes on in quotes. taken: characters of
    the row so far.
    """

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts = texts
        self.taken = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = next(self._texts)
        self.taken += len(text)
        if self.taken > MAX_ROW:
            raise ArchiveRefused(f"A row of the manifest has more than {MAX_ROW:,} characters.")
        return text


@contextmanager
def _readable(number: int) -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        raise ArchiveRefused(f"Row {number} of the manifest cannot be read: {error}.") from None


def _require_sound(columns: list[str]) -> None:
    if len(columns) > MAX_COLUMNS:
        raise ArchiveRefused(f"The manifest has more than {MAX_COLUMNS} columns.")
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        raise ArchiveRefused(f"The manifest has the column “{twice[0][:80]}” twice.")


def json_lines(upload: Batchable) -> Iterator[Line]:
    for number, (offset, data) in enumerate(upload.lines(upload.manifests[0]), start=1):
        if not data.strip():
            continue
        line = Line(number, offset, {})
        if untrusted_json.has_parts(data, MAX_PARTS):
            line.problems.append(["", "The line has more parts than a row has."])
            yield line
            continue
        try:
            values = untrusted_json.loads(data)
        except ValueError:
            values = None
        if isinstance(values, dict):
            for name, value in list(values.items())[:MAX_COLUMNS]:
                _set(line, name.strip().lower(), _as_text(line, name, value))
        else:
            line.problems.append(["", "The line is no JSON object."])
        yield line


def _as_text(line: Line, name: str, value: Any) -> str:
    if value is None:
        return ""
    if name.strip().lower() == INLINE and isinstance(value, str):
        return "in the line" if value else ""
    if isinstance(value, dict | list):
        line.problems.append([name[:80], "A text, a number, true or false is wanted."])
        return ""
    return str(value)


def _set(line: Line, name: str, text: str) -> None:
    """PostgreSQL accepts no NUL and no lone surrogate, and all our texts have a maximum length."""
    name = _storable(name)[:80]
    if not name:
        return
    if len(text) > MAX_VALUE:
        line.problems.append([name, f"The value is longer than {MAX_VALUE:,} characters."])
        return
    if "\0" in text:
        line.problems.append([name, "The value has a NUL, a character that no text has."])
        return
    line.record[name] = _storable(text)


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _decoded(upload: Batchable, name: str) -> Iterator[str]:
    """Lines with any ending: LF, CR LF, and CR alone, as spreadsheets on a Mac save them."""
    lines = (line[0] for _, data in upload.lines(name) for line in _LINE.finditer(data))
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise ArchiveRefused(
                f"Line {number} of the manifest is not UTF-8. Save it as “CSV UTF-8”."
            ) from None
