"""Searching: the parsed query, and a page of results, newest first."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from accounts.models import User
from screening.errors import SearchError
from screening.interop.fhir.elements import Json
from screening.interop.fhir.parameters import split
from screening.interop.fhir.resources import KINDS, Listed, Source, Stored

PAGE = 50
LARGEST_PAGE = 200
ELSEWHERE = ("_format", "_pretty")  # these do not affect the search itself

Key = tuple[datetime, UUID]


@dataclass(slots=True)
class Asked:
    """A parsed query string.

    criteria: (name, modifier, value), all of which must match. used: the parameters repeated in the
    ``self`` link. ignored: why each unknown parameter was ignored.
    """

    count: int = PAGE
    after: Key | None = None
    only_total: bool = False
    with_total: bool = False
    criteria: list[tuple[str, str, str]] = field(default_factory=list)
    used: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """resources: one page. following: the cursor of the next page. total: only on request."""

    resources: list[Json]
    following: str | None = None
    total: int | None = None


def ask(kind: str, query: Iterable[tuple[str, list[str]]], *, strict: bool) -> Asked:
    """Parse the query string's (name, values). Raises SearchError for a wrong value and, if strict,
    for an unknown parameter; otherwise unknown parameters are ignored and reported.
    """
    asked = Asked()
    known = _searchable(kind)
    for name, values in query:
        for value in values:
            plain, _, modifier = name.partition(":")
            if name in ELSEWHERE:
                continue
            if plain in known:
                asked.criteria.append((plain, modifier, _stated(name, value)))
            elif not _control(asked, name, value):
                text = f"There is no search parameter {name} for {kind}."
                if strict:
                    raise SearchError(text, "not-supported")
                asked.ignored.append(text)
                continue
            if name != "_page":
                asked.used.append((name, value))
    return asked


def find(kind: str, asked: Asked, user: User, base: str) -> Found:
    """The page of results. Raises SearchError for a value that cannot be parsed."""
    found = KINDS[kind]
    if isinstance(found, Listed):
        return _listed(found, asked, user, base)
    asked_of = [(source, _filtered(source, asked, user)) for source in found.sources]
    total = sum(rows.count() for _, rows in asked_of) if asked.with_total else None
    if asked.only_total:
        return Found([], total=total)
    heads = [
        ((row.created, row.pk), row, source)
        for source, rows in asked_of
        for row in _page(rows, asked)
    ]
    heads.sort(key=lambda head: head[0], reverse=True)
    shown = heads[: asked.count]
    following = _cursor(shown[-1][0]) if len(heads) > asked.count else None
    return Found([source.render(row, base) for _, row, source in shown], following, total)


def read(kind: str, pk: str, user: User, base: str) -> Json | None:
    """The resource; None if there is none that the user may see."""
    found = KINDS[kind]
    if isinstance(found, Listed):
        return next((one for one in found.all(user, base) if one["id"] == pk), None)
    try:
        identity = UUID(pk)
    except ValueError:
        return None
    for source in found.sources:
        row = source.rows(user).filter(pk=identity).first()
        if row is not None:
            return source.render(row, base)
    return None


def _searchable(kind: str) -> set[str]:
    found = KINDS[kind]
    return set(found.parameters if isinstance(found, Stored) else found.names)


def _control(asked: Asked, name: str, value: str) -> bool:
    """Whether the parameter concerns the form of the response; if so, it is stored."""
    match name, value:
        case "_count", _:
            if not (value.isascii() and value.isdigit() and len(value) < 10):
                raise SearchError(f"_count is a number, not {value!r}.")
            asked.count = min(int(value), LARGEST_PAGE)
            asked.only_total = asked.only_total or asked.count == 0
        case "_page", _:
            asked.after = _key(value)
        case "_summary", "count":
            asked.only_total = True
        case "_summary", "false":
            pass
        case "_total", ("accurate" | "estimate"):
            asked.with_total = True
        case "_total", "none":
            pass
        case _:
            return False
    asked.with_total = asked.with_total or asked.only_total
    return True


def _stated(name: str, value: str) -> str:
    if not value:
        raise SearchError(f"{name} has no value: give one, or leave the parameter out.")
    if "\0" in value:
        raise SearchError(f"{name} has a character that no text has.")
    return value


def _filtered(source: Source, asked: Asked, user: User) -> Any:
    rows = source.rows(user)
    for name, modifier, value in asked.criteria:
        any_of = Q()
        for alternative in split(value):
            any_of |= source.parameters[name].q(alternative, modifier)
        rows = rows.filter(any_of)
    return rows


def _page(rows: Any, asked: Asked) -> Any:
    """One row more than a page after the cursor: it shows whether there is another page."""
    if asked.after is not None:
        created, pk = asked.after
        rows = rows.filter(created__lte=created).filter(Q(created__lt=created) | Q(pk__lt=pk))
    return rows.order_by("-created", "-pk")[: asked.count + 1]


def _cursor(key: Key) -> str:
    return urlsafe_b64encode(f"{key[0].isoformat()} {key[1]}".encode()).decode()


def _key(cursor: str) -> Key:
    try:
        created, pk = urlsafe_b64decode(cursor.encode("ascii")).decode().split(" ")
        moment = datetime.fromisoformat(created)
        if moment.tzinfo is None:
            raise ValueError(created)
        return moment, UUID(pk)
    except (ValueError, binascii.Error):
        raise SearchError("_page is no page of ours: follow the link named next.") from None


def _listed(kind: Listed, asked: Asked, user: User, base: str) -> Found:
    """Few enough for one page, whatever page size was requested."""
    found = kind.all(user, base)
    for name, modifier, value in asked.criteria:
        if modifier:
            raise SearchError(f"The modifier :{modifier} is not supported here.", "not-supported")
        found = [one for one in found if one[name.lstrip("_")] in split(value)]
    return Found([] if asked.only_total else found, total=len(found))
