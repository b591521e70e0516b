"""Tables of any length as files, written while they are read, with one page of rows in memory."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any

from django.db import models
from django.http import StreamingHttpResponse

ROWS_AT_ONCE = 1000

Value = str | float | int | bool | date | datetime | None
Rows = Iterable[Sequence[Value]]
# name -> the type of its values, apart from None
Columns = dict[str, type]

# Leading characters that make a spreadsheet treat a text as a formula (OWASP, CSV Injection), also
# as full-width characters, which Excel treats alike.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class FileType(models.TextChoices):
    CSV = "csv", "CSV"
    EXCEL = "excel", "CSV for Excel"
    JSON_LINES = "jsonl", "JSON lines"
    PARQUET = "parquet", "Parquet"


CONTENT_TYPES: dict[str, str] = {
    FileType.CSV: "text/csv; charset=utf-8",
    FileType.EXCEL: "text/csv; charset=utf-8",
    FileType.JSON_LINES: "application/x-ndjson",
    FileType.PARQUET: "application/vnd.apache.parquet",
}


def as_download(name: str, file_type: str, columns: Columns, rows: Rows) -> StreamingHttpResponse:
    """The table as a download named ``name``, without its extension."""
    write = {
        FileType.CSV: as_csv,
        FileType.EXCEL: as_excel_csv,
        FileType.JSON_LINES: as_json_lines,
        FileType.PARQUET: as_parquet,
    }[FileType(file_type)]
    extension = FileType.CSV if file_type == FileType.EXCEL else file_type
    return StreamingHttpResponse(
        write(columns, rows),
        content_type=CONTENT_TYPES[file_type],
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{extension}"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


def as_csv(columns: Columns, rows: Rows) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for page in _pages(rows):
        writer.writerows([[_cell(value) for value in row] for row in page])
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    if text.tell():
        yield text.getvalue().encode()


def as_excel_csv(columns: Columns, rows: Rows) -> Iterator[bytes]:
    """With the mark by which Excel takes a table for UTF-8."""
    yield codecs.BOM_UTF8
    yield from as_csv(columns, rows)


def as_json_lines(columns: Columns, rows: Rows) -> Iterator[bytes]:
    for page in _pages(rows):
        lines = [dict(zip(columns, map(_plain, row), strict=True)) for row in page]
        yield b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)


def as_parquet(columns: Columns, rows: Rows) -> Iterator[bytes]:
    import pyarrow as pa  # large, and rarely needed
    from pyarrow import parquet

    kinds = {
        str: pa.string(),
        float: pa.float64(),
        int: pa.int64(),
        bool: pa.bool_(),
        date: pa.date32(),
        datetime: pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    sink = _Sink()
    with parquet.ParquetWriter(sink, schema) as writer:
        for page in _pages(rows):
            arrays = [
                pa.array(values, field.type)
                for values, field in zip(zip(*page, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield sink.taken()
    yield sink.taken()


def only(columns: Columns, shown: Container[str], rows: Rows) -> Rows:
    """The rows with every column that is not ``shown`` emptied: the table keeps its shape."""
    kept = [name in shown for name in columns]
    for row in rows:
        yield [value if keep else None for value, keep in zip(row, kept, strict=True)]


def formula_safe(text: str) -> str:
    """``text``, escaped so that no spreadsheet executes it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _pages(rows: Rows) -> Iterator[list[Sequence[Value]]]:
    left = iter(rows)
    while page := list(islice(left, ROWS_AT_ONCE)):
        yield page


def _cell(value: Value) -> Value:
    return formula_safe(value) if isinstance(value, str) else _plain(value)


def _plain(value: Value) -> Value:
    return value.isoformat() if isinstance(value, date) else value


class _Sink(io.RawIOBase):
    """A buffer for a file writer's bytes until they are sent."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._written += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._written

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
