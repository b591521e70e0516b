"""Which rows are a person's: everything that refers to them, walked from the models.

The walk follows every foreign key towards what is erased, so that a new table is included by its
key. Only authorship is left: rows of others that say who entered them (``PROTECT`` towards users).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import models

from accounts.models import Agreement, User
from screening.erasure import traces
from screening.models import (
    Announcement,
    DataKey,
    Delivery,
    Erasure,
    ExternalIdentifier,
    IdempotentRequest,
    Patient,
    ReviewSeal,
    Trace,
)

KEPT: tuple[type[models.Model], ...] = (Erasure, ReviewSeal, Trace)
"""What is kept of an erasure itself. ``eraser`` takes the person out of them."""
OWNED = {(Patient, "owner"), (ExternalIdentifier, "owner")}
"""Keys to users that protect them, and yet say whose it is, not who entered it."""
FORGOTTEN: tuple[type[models.Model], ...] = (
    Announcement,
    Delivery,
    IdempotentRequest,
    LogEntry,
    Session,
)
"""Rows that name others in text, and that nobody needs for long: erased with what they name."""
_CHUNK = 500

Rows = dict[type[models.Model], set[Any]]


def everything_of(roots: Mapping[type[models.Model], Iterable[Any]]) -> Rows:
    """The rows to erase, by model. They are locked until the transaction ends, each before those
    that refer to it are looked for: nothing can be added to them meanwhile.
    """
    found: Rows = defaultdict(set)
    _walk(found, roots)
    named = identifiers_of(found)
    for model in FORGOTTEN:
        _walk(found, {model: list(_naming(model, named))})
    return dict(found)


def identifiers_of(found: Rows) -> set[str]:
    """The UUIDs among the primary keys, in 32 digits."""
    return {
        one
        for model, keys in found.items()
        if isinstance(model._meta.pk, models.UUIDField)
        for one in (key.hex for key in keys)
    }


def authored_by(users: Collection[Any]) -> Iterator[tuple[models.QuerySet[Any], str]]:
    """Rows that these users entered, and the name of the foreign key to the user."""
    for relation in _relations(User):
        model, field = relation.related_model, relation.field
        if _says_who_entered_it(model, field):
            rows = model._base_manager.filter(**{f"{field.name}__in": users})
            if model is Agreement:
                rows = rows.exclude(clinic=None)
            yield rows, field.name


def erase(found: Rows) -> None:
    """Delete exactly these rows. The database checks the keys at the end of the transaction."""
    for model, keys in found.items():
        for chunk in _chunks(keys):
            rows: Any = model._base_manager.filter(pk__in=chunk)
            rows._raw_delete(rows.db)


def stored_files(found: Rows) -> list[str]:
    """The names of the files that these rows have in the storage."""
    names: list[str] = []
    for model, keys in found.items():
        fields = [one.name for one in model._meta.fields if isinstance(one, models.FileField)]
        for chunk in _chunks(keys):
            rows = model._base_manager.filter(pk__in=chunk).values_list(*fields) if fields else []
            names += [name for row in rows for name in row if name]
    return names


def _chunks(keys: Iterable[Any]) -> Iterator[list[Any]]:
    """SQLite takes a limited number of parameters."""
    rest = iter(keys)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _walk(found: Rows, roots: Mapping[type[models.Model], Iterable[Any]]) -> None:
    waiting = [(model, set(keys)) for model, keys in roots.items()]
    while waiting:
        model, keys = waiting.pop()
        new = _locked(model, keys - found[model])
        if not new:
            continue
        found[model] |= new
        for relation in _relations(model):
            child, field = relation.related_model, relation.field
            # A picture that was moved to another patient stays, whichever key it is under.
            is_left = child in KEPT or model is DataKey or _says_who_entered_it(child, field)
            if not is_left:
                waiting.append((child, _children(child, field, new)))
        if model is User:  # agreements of a clinic stay, with whoever confirmed them
            own = Agreement.objects.filter(user__in=new, clinic=None)
            waiting.append((Agreement, set(own.values_list("pk", flat=True))))


def _relations(model: type[models.Model]) -> list[Any]:
    """The keys of all models to this one, hidden ones and those of many-to-many tables too."""
    return [one for one in model._meta.get_fields(include_hidden=True) if _is_key(one)]


def _is_key(field: Any) -> bool:
    return isinstance(field, models.ManyToOneRel)


def _says_who_entered_it(model: type[models.Model], field: Any) -> bool:
    if field.related_model is not User or (model, field.name) in OWNED:
        return False
    return field.remote_field.on_delete is models.PROTECT or model is Agreement


def _children(child: type[models.Model], field: Any, parents: Collection[Any]) -> set[Any]:
    found: set[Any] = set()
    for chunk in _chunks(parents):
        rows = child._base_manager.filter(**{f"{field.name}__in": chunk})
        found.update(rows.values_list("pk", flat=True))
    return found


def _locked(model: type[models.Model], keys: Collection[Any]) -> set[Any]:
    """Those of the rows that are still there."""
    found: set[Any] = set()
    for chunk in _chunks(keys):
        rows = model._base_manager.select_for_update().filter(pk__in=chunk).order_by("pk")
        found.update(rows.values_list("pk", flat=True))
    return found


def _naming(model: type[models.Model], named: set[str]) -> Iterator[Any]:
    for row in model._base_manager.order_by().iterator(chunk_size=_CHUNK):
        values = [one.value_from_object(row) for one in model._meta.concrete_fields]
        values.append(traces.readable(row))
        if any(traces.identifiers_in(value) & named for value in values if value):
            yield row.pk
