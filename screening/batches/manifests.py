"""The manifest of a batch: its rows, checked against the archive and one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from screening.batches.archives import Batchable
from screening.batches.joining import Joined
from screening.batches.lines import INLINE, MAX_COLUMNS, MAX_ROWS, Line, json_lines
from screening.errors import ArchiveRefused, PictureRefused
from screening.interop.isic import columns as isic_columns
from screening.interop.isic.columns import BIRTH_YEARS_MAY_DIFFER_BY


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
        if self._upload.manifests[0].lower().endswith((".jsonl", ".ndjson")):
            return json_lines(self._upload)
        return Joined(self._upload).lines()

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
