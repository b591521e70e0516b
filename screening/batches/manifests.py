"""The manifest of a batch, line by line: a table in a ZIP, or JSON lines in a ZIP or alone."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from screening.batches.archives import Batchable
from screening.errors import ArchiveRefused, PictureRefused
from screening.interop.isic import columns as isic_columns
from screening.interop.isic.columns import BIRTH_YEARS_MAY_DIFFER_BY
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


@dataclass
class Entry:
    """One parsed row, checked against the archive and the other rows."""

    number: int
    offset: int | None
    entry: str
    row: isic_columns.Row


class Manifest:
    """Reads the manifest twice, because the rows must agree on sex, site and birth year, whatever
    the import order. Raises ArchiveRefused for a manifest that cannot be used.
    """

    def __init__(
        self, upload: Batchable, *, captured_on: date, day_is_told: bool, own: bool
    ) -> None:
        """captured_on, day_is_told: as in ``isic.parse``. own: the images are of the uploader's own
        skin, so rows need not name a patient.
        """
        self._upload = upload
        self._captured_on, self._day_is_told = captured_on, day_is_told
        self._own = own
        self.unknown_columns: set[str] = set()

    def entries(self) -> Iterator[Entry]:
        agreed = _Agreed()
        for entry in self._parsed():
            if not entry.row.problems:
                agreed.add(entry)
        for entry in self._parsed():
            if not entry.row.problems:
                agreed.settle(entry)
            yield entry

    def _parsed(self) -> Iterator[Entry]:
        count = 0
        for line in self._lines():
            count += 1
            if count > MAX_ROWS:
                raise ArchiveRefused(f"The manifest has more than {MAX_ROWS:,} rows. Split it.")
            yield self._entry(line)
        if not count:
            raise ArchiveRefused("The manifest has no rows.")

    def _lines(self) -> Iterator[Line]:
        if self._upload.manifest.lower().endswith((".jsonl", ".ndjson")):
            return _json_lines(self._upload)
        return _csv_lines(self._upload)

    def _entry(self, line: Line) -> Entry:
        self.unknown_columns |= set(sorted(line.record.keys() - isic_columns.KNOWN)[:MAX_COLUMNS])
        row = isic_columns.parse(
            line.record, captured_on=self._captured_on, day_is_told=self._day_is_told
        )
        row.problems = line.problems or row.problems
        entry = ""
        if row.picture:
            try:
                entry = self._upload.find(row.picture)
            except PictureRefused as reason:
                column = next(
                    (n for n in isic_columns.PICTURE if line.record.get(n)), isic_columns.PICTURE[0]
                )
                row.problems.append([column, str(reason)])
        elif line.record.get(INLINE) and line.offset is None:
            row.problems.append([INLINE, "In a ZIP the picture is a file, which the row names."])
        self._name(row)
        return Entry(line.number, line.offset, entry, row)

    def _name(self, row: isic_columns.Row) -> None:
        """Identify a record by its lesion or file: HAM10000 names no patients, and there may be
        only a picture.
        """
        row.lesion = row.lesion or PurePosixPath(row.picture.replace("\\", "/")).stem[:80]
        if not self._own:
            row.patient = row.patient or row.lesion
        if not row.lesion and not row.problems:
            row.problems.append(["lesion_id", "A row without a file name needs a lesion_id."])


class _Agreed:
    """What the rows say about each patient and lesion: the first value wins."""

    def __init__(self) -> None:
        self._pictures: dict[str, int] = {}
        self._said: dict[tuple[str, str], dict[str, tuple[Any, int]]] = {}

    def add(self, entry: Entry) -> None:
        row = entry.row
        if entry.entry and self._pictures.setdefault(entry.entry, entry.number) != entry.number:
            return
        for key, fields in self._subjects(row):
            said = self._said.setdefault(key, {})
            for name, value in fields.items():
                said.setdefault(name, (value, entry.number))

    def settle(self, entry: Entry) -> None:
        """Report a row that contradicts an earlier one; otherwise complete it with the agreed
        values.
        """
        row, first = entry.row, self._pictures.get(entry.entry, entry.number)
        if first != entry.number:
            row.problems.append(["image", f"The same file as in row {first}."])
            return
        for key, fields in self._subjects(row):
            for name, value in fields.items():
                believed, number = self._said[key][name]
                if contradicts(name, value, believed):
                    row.problems.append(
                        [COLUMN_OF.get(name, name), _contradiction(key, name, believed, number)]
                    )
        if not row.problems:
            row.patient_fields = self._agreed_on("patient", row.patient)
            row.lesion_fields = self._agreed_on("lesion", row.lesion)

    def _agreed_on(self, kind: str, identifier: str) -> dict[str, Any]:
        said = self._said[kind, identifier]
        return {name: value for name, (value, _) in said.items() if name != "patient"}

    def _subjects(self, row: isic_columns.Row) -> list[tuple[tuple[str, str], dict[str, Any]]]:
        """A lesion has one patient: ISIC's rule, and the purpose of an identifier."""
        return [
            (("patient", row.patient), row.patient_fields),
            (("lesion", row.lesion), {"patient": row.patient, **row.lesion_fields}),
        ]


COLUMN_OF = {"birth_year": "age", "patient": "lesion_id"}


def contradicts(name: str, value: Any, believed: Any) -> bool:
    """Whether values for one patient or lesion conflict. Ages are rounded, so birth years may
    differ a little.
    """
    if name == "birth_year":
        return abs(value - believed) > BIRTH_YEARS_MAY_DIFFER_BY
    return bool(value != believed)


def _contradiction(key: tuple[str, str], name: str, believed: Any, number: int) -> str:
    kind, identifier = key
    if name == "patient":
        return f"Lesion “{identifier}” is of patient “{believed}” in row {number}."
    if name == "birth_year":
        return f"By row {number}, patient “{identifier}” was born about {believed}."
    shown = str(believed).lower()
    return f"{kind.capitalize()} “{identifier}” has {name} “{shown}” in row {number}."


def _csv_lines(upload: Batchable) -> Iterator[Line]:
    texts = _Texts(_decoded(upload))
    head, number = next(texts, ""), 1
    delimiter = max(",;\t", key=head.count)
    if told := re.fullmatch(r"sep=([,;\t])\s*", head, re.IGNORECASE):  # a line of Excel's
        delimiter, head, number = told[1], next(texts, ""), 2
    with _readable(number):
        columns = [
            cell.strip().lower() for cell in next(csv.reader([head], delimiter=delimiter), [])
        ]
    _require_columns(columns)
    reader = csv.reader(texts, delimiter=delimiter)
    while True:
        number += 1
        texts.taken = 0
        with _readable(number):
            cells = next(reader, None)
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            line = Line(number, None, {})
            if any(cell.strip() for cell in cells[len(columns) :]):
                line.problems = [["", "The row has more cells than the header has columns."]]
            for name, cell in zip(columns, cells, strict=False):
                _set(line, name, cell)
            yield line


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


def _require_columns(columns: list[str]) -> None:
    if not set(isic_columns.PICTURE) & set(columns):
        names = ", ".join(isic_columns.PICTURE)
        raise ArchiveRefused(f"No column of the manifest names the pictures: {names}.")
    if len(columns) > MAX_COLUMNS:
        raise ArchiveRefused(f"The manifest has more than {MAX_COLUMNS} columns.")
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        raise ArchiveRefused(f"The manifest has the column “{twice[0][:80]}” twice.")


def _json_lines(upload: Batchable) -> Iterator[Line]:
    for number, (offset, data) in enumerate(upload.lines(), start=1):
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


def _decoded(upload: Batchable) -> Iterator[str]:
    """Lines with any ending: LF, CR LF, and CR alone, as spreadsheets on a Mac save them."""
    lines = (line[0] for _, data in upload.lines() for line in _LINE.finditer(data))
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise ArchiveRefused(
                f"Line {number} of the manifest is not UTF-8. Save it as “CSV UTF-8”."
            ) from None
