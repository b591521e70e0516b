"""What one unit of work (a request, a task, a command) reads and writes, for the audit log.

Reads: every loaded row passes ``UUIDModel.from_db``. Writes: every statement passes ``Recorder``.
So no view, service or query can forget either. A change is reported in its transaction; reads and
the user with the last part, when the unit ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connection, models
from uuid_utils.compat import uuid7

from screening.models import AuditPart, witness
from screening.models.signatures import AUDIT_PART, digest_of_value, sign
from screening.privacy import outbox

MACHINERY = {
    "modified",
    "last_used_at",
    "lease_expires_at",
    "rung_at",
    "attempts",
    "setbacks",
    "started_at",
    "followed_up_at",
    "steps",
    "steps_done",
    "fetched_at",
    "screen",
    "stored_bytes",
}
"""Fields that track the software's progress. A change of nothing else is not reported."""

NOT_REPORTED = (
    "announcement",
    "batchrow",
    "delivery",
    "deliveryattempt",
    "idempotentrequest",
    "setback",
    "shareopening",
    "usedassertion",
)
"""Models that track the software's progress, or are logs themselves. Their rows are reported when
read, not when changed.
"""

WITHOUT_PATIENT = ("calendarfeed", "dicomnode", "webhook")
"""Models of ours that say where data may be sent. Their changes are reported."""

LISTED = 100
"""The maximum number of records of a kind that an entry names. Beyond it, the entry has the count
and the patients.
"""

_WRITE = re.compile(r'(INSERT|UPDATE|DELETE)(?: OR \w+)?(?: INTO| FROM)? "(\w+)"')
_COLUMN = re.compile(r'"(\w+)" = ')
_OTHERS = ("account", "mfa", "accounts")

Source = Callable[[], dict[str, Any]]


class Recorder:
    """source: the user, the channel and further fields of an entry, known at the first change at
    the latest.
    """

    def __init__(self, source: Source) -> None:
        self.unit = uuid7()
        self.seen: witness.Seen = {}
        self._source = source
        self._event = ""
        self._has_parts = False

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """The wrapper for ``connection.execute_wrapper``."""
        found = _WRITE.match(sql) if witness.seen.get() is not None else None
        table = tables().get(found[2]) if found else None
        if found is None or table is None or many:
            return execute(sql, params, many, context)
        if found[1] == "INSERT":
            result = execute(sql, params, many, context)
            self._report(_inserted(table, sql, params))
            return result
        where, given = _condition(sql, params)
        columns = [] if found[1] == "DELETE" else _columns(table, sql)
        if columns and MACHINERY.issuperset(columns):
            return execute(sql, params, many, context)
        before = _rows(table, columns, where, given)
        result = execute(sql, params, many, context)
        if columns:
            after = _rows(table, columns, *_among(table, before))
            self._report({pk: _changed(pk, columns, before[pk], after.get(pk)) for pk in before})
        else:
            self._report({pk: {"": ["deleted", ""]} for pk in before})
        return result

    def event(self, act: str) -> None:
        """Report an act that is neither a read nor a write, when the unit is over."""
        self._event = act

    def close(self, **more: Any) -> None:
        """Report what was read. Nothing is added if the unit touched nobody's data."""
        if not self.seen and not self._event and not self._has_parts:
            return
        if self._event:
            more["event"] = self._event
        outbox.put(self._part({**_read(self.seen), **more}, is_last=True))

    def _report(self, rows: dict[Any, dict[str, list[str]]]) -> None:
        changes = {
            f"{pk[0]}:{pk[1]}": fields for pk, fields in rows.items() if fields.keys() - MACHINERY
        }
        if changes:
            self._part({"changes": changes}).save(force_insert=True)

    def _part(self, content: dict[str, Any], is_last: bool = False) -> AuditPart:
        self._has_parts = True
        part = AuditPart(unit=self.unit, is_last=is_last, content={**self._source(), **content})
        part.signature = sign(part.signed_content, AUDIT_PART)
        return part


def _read(seen: witness.Seen) -> dict[str, Any]:
    """records: identifiers by kind; counts; patients, as far as the rows tell; of: by kind, the
    rows whose patients are still to be looked up.
    """
    patients: set[UUID] = set()
    of: dict[str, set[UUID]] = {}
    for kind, rows in seen.items():
        way = witness.ways_by_name().get(kind, witness.NO_WAY)
        if way.path == "pk":
            patients.update(rows)
        elif way.path:
            nearer = set(rows.values())
            if None in nearer:  # not loaded, or there is none
                of[kind] = {pk for pk, step in rows.items() if step is None}
            known = {pk for pk in nearer if pk is not None}
            if way.nearer == "patient":
                patients |= known
            elif rest := known - seen.get(way.nearer, {}).keys():
                of.setdefault(way.nearer, set()).update(rest)
    return {
        "records": {k: _texts(rows) for k, rows in seen.items() if len(rows) <= LISTED},
        "counts": {kind: len(rows) for kind, rows in seen.items()},
        "patients": _texts(patients),
        "of": {kind: _texts(ids) for kind, ids in of.items()},
    }


def _texts(ids: Iterable[UUID]) -> list[str]:
    return sorted(map(str, ids))


@contextmanager
def recording(source: Source) -> Iterator[Recorder]:
    """Record what the block reads and writes. The caller closes the recorder if work continues
    after the block, as for a streamed response; else ``recorded`` does.
    """
    recorder = Recorder(source)
    with watching(recorder):
        yield recorder


@contextmanager
def watching(recorder: Recorder) -> Iterator[None]:
    token = witness.seen.set(recorder.seen)
    try:
        with connection.execute_wrapper(recorder):
            yield
    finally:
        witness.seen.reset(token)


@contextmanager
def recorded(*, through: str, what: str) -> Iterator[None]:
    """A unit of work without a request: a task or a command."""
    with recording(lambda: {"through": through, "what": what}) as recorder:
        try:
            yield
        finally:
            recorder.close()


@cache
def tables() -> dict[str, type[models.Model]]:
    """Models whose rows are personal data or define permissions, by table."""
    ours = [
        model
        for model in apps.get_app_config("screening").get_models()
        if model in witness.ways() or model._meta.model_name in WITHOUT_PATIENT
    ]
    others = [model for app in _OTHERS for model in apps.get_app_config(app).get_models()]
    return {
        model._meta.db_table: model
        for model in (*ours, *others)
        if model._meta.model_name not in NOT_REPORTED
    }


def _condition(sql: str, params: Any) -> tuple[str, list[Any]]:
    """What follows the statement's outermost WHERE, and its parameters."""
    depth, at = 0, -1
    for found in re.finditer(r"\(|\)| WHERE ", sql):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if found[0] == " WHERE " and depth == 0:
            at = found.start()
    if at < 0:
        return "", []
    return sql[at:], list(params or ())[sql[:at].count("%s") :]


def _columns(table: type[models.Model], sql: str) -> list[str]:
    known = {field.column for field in table._meta.concrete_fields}
    head = sql[: len(sql) - len(_condition(sql, None)[0])]
    return [name for name in dict.fromkeys(_COLUMN.findall(head)) if name in known]


def _rows(
    table: type[models.Model], columns: list[str], where: str, params: list[Any]
) -> dict[tuple[str, str], tuple[Any, ...]]:
    """By (kind, identifier), the values of ``columns``."""
    opts = table._meta
    names = ", ".join(f'"{opts.db_table}"."{name}"' for name in (opts.pk.column, *columns))
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT {names} FROM "{opts.db_table}"{where}', params)  # noqa: S608  our own names
        return {(str(opts.model_name), _plain(table, row[0])): row[1:] for row in cursor.fetchall()}


def _among(table: type[models.Model], rows: Any) -> tuple[str, list[Any]]:
    if not rows:
        return " WHERE 1 = 0", []
    pk = table._meta.pk
    ids = [pk.get_db_prep_value(pk.to_python(one), connection) for _, one in rows]
    marks = ", ".join(["%s"] * len(ids))
    return f' WHERE "{table._meta.db_table}"."{pk.column}" IN ({marks})', ids


def _changed(
    pk: tuple[str, str], columns: list[str], before: Any, after: Any
) -> dict[str, list[str]]:
    """By field, the digests of both values, if they differ."""
    if after is None:
        return {}
    return {
        name: [_digest(pk, name, old), _digest(pk, name, new)]
        for name, old, new in zip(columns, before, after, strict=True)
        if old != new
    }


def _inserted(
    table: type[models.Model], sql: str, params: Any
) -> dict[tuple[str, str], dict[str, list[str]]]:
    columns = re.findall(r'"(\w+)"', sql[sql.index("(") : sql.index(")")])
    pk, kind = table._meta.pk.column, str(table._meta.model_name)
    if "UNNEST(" in sql:  # PostgreSQL: several rows, as a list for each column
        rows = [list(row) for row in zip(*params, strict=True)]
    else:
        rows = [params[n : n + len(columns)] for n in range(0, len(params), len(columns))]
    found = {}
    for row in rows:
        if len(row) < len(columns):  # an expression instead of a value
            row = [*row, *[None] * (len(columns) - len(row))]
        said = dict(zip(columns, row, strict=True))
        key = (kind, _plain(table, said[pk]) if pk in said else "new")
        found[key] = {name: ["", _digest(key, name, value)] for name, value in said.items()}
    return found


def _plain(table: type[models.Model], pk: Any) -> str:
    if isinstance(table._meta.pk, models.UUIDField) and not isinstance(pk, UUID):
        return str(UUID(str(pk)))
    return str(pk)


def _digest(pk: tuple[str, str], name: str, value: Any) -> str:
    return digest_of_value(f"{pk[0]}:{pk[1]}.{name}={value!r}")
