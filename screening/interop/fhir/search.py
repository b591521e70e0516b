"""Searching: the parsed query, and a page of results, newest first unless sorted."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import DateField, F, Q, Value
from django.db.models.functions import Coalesce

from accounts.models import User
from screening.errors import SearchError
from screening.formatting import moment
from screening.interop.fhir import includes
from screening.interop.fhir.elements import Json
from screening.interop.fhir.parameters import Day, Identity, Moment, split
from screening.interop.fhir.resources import KINDS, Listed, Source, Stored
from screening.interop.fhir.summaries import SUMMARIES, Subset, names
from skincheck_site import untrusted_json

PAGE = 50
LARGEST_PAGE = 200
MOST_CRITERIA, MOST_ALTERNATIVES = 20, 500
"""Each criterion may join a table, and each alternative is a condition."""
ELSEWHERE = ("_format", "_pretty")  # these do not affect the search itself
UNDATED = date(1, 1, 1)
"""The place of rows without a day in an order by day."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order by a parameter; name: "" for when the row was created."""

    name: str
    descends: bool = False


NO_PAGE = "_page is no page of ours: follow the link named next, or begin without it."
NEWEST_FIRST = (Order("", descends=True),)


@dataclass(slots=True)
class Asked:
    """A parsed query string.

    criteria: (name, modifier, value), all of which must match. page: the cursor, as it was sent.
    used: the parameters repeated in the ``self`` link. ignored: why each unknown parameter was
    ignored.
    """

    count: int = PAGE
    page: str = ""
    only_total: bool = False
    with_total: bool = False
    orders: tuple[Order, ...] = NEWEST_FIRST
    subset: Subset = field(default_factory=Subset)
    includes: list[includes.Include] = field(default_factory=list)
    criteria: list[tuple[str, str, str]] = field(default_factory=list)
    used: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """resources: one page. included: what these refer to, or what refers to them. following: the
    cursor of the next page. total: only on request.
    """

    resources: list[Json]
    included: list[Json] = field(default_factory=list)
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
            elif not _control(asked, kind, name, value):
                text = f"There is no search parameter {name}={value} for {kind}."
                if strict:
                    raise SearchError(text, "not-supported")
                asked.ignored.append(text)
                continue
            if name != "_page":
                asked.used.append((name, value))
    alternatives = sum(value.count(",") + 1 for _, _, value in asked.criteria)
    if len(asked.criteria) > MOST_CRITERIA or alternatives > MOST_ALTERNATIVES:
        most = f"{MOST_CRITERIA} parameters with {MOST_ALTERNATIVES} values"
        raise SearchError(f"A search takes at most {most}.", "too-costly")
    return asked


def find(kind: str, asked: Asked, user: User, base: str, readable: Collection[str]) -> Found:
    """The page of results, with inclusions of the readable kinds. Raises SearchError for a value
    that cannot be parsed.
    """
    found = _find(kind, asked, user, base)
    included = [one for one in found.included if one["resourceType"] in readable]
    return replace(found, included=included)


def _find(kind: str, asked: Asked, user: User, base: str) -> Found:
    found = KINDS[kind]
    if isinstance(found, Listed):
        return _listed(found, asked, user, base)
    asked_of = [(source, _filtered(source, asked, user)) for source in found.sources]
    total = sum(rows.count() for _, rows in asked_of) if asked.with_total else None
    after = _values(found, asked)
    if asked.only_total:
        return Found([], total=total)
    heads = [
        (row, source) for source, rows in asked_of for row in _page(source, rows, asked, after)
    ]
    for number, order in reversed([*enumerate(_sorted_by(asked))]):
        heads.sort(key=lambda head: getattr(head[0], f"sort_{number}"), reverse=order.descends)
    shown = heads[: asked.count]
    following = _cursor(shown[-1][0], asked) if len(heads) > asked.count else None
    matches = [source.render(row, base) for row, source in shown]
    included = includes.find(asked.includes, matches, user, base)
    of = asked.subset.of
    return Found(list(map(of, matches)), list(map(of, included)), following, total)


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


def _control(asked: Asked, kind: str, name: str, value: str) -> bool:
    """Whether the parameter concerns the form of the response; if so, it is stored."""
    match name, value:
        case "_count", _:
            if not (value.isascii() and value.isdigit() and len(value) < 10):
                raise SearchError("_count is a whole number from 0 to 999,999,999.")
            asked.count = min(int(value), LARGEST_PAGE)
            asked.only_total = asked.only_total or asked.count == 0
        case "_page", _:
            asked.page = _stated(name, value)
        case "_summary", "count":
            asked.only_total = True
        case "_summary", _ if value in SUMMARIES:
            asked.subset = replace(asked.subset, summary=value)
        case "_elements", _:
            asked.subset = replace(asked.subset, elements=names(value))
        case "_total", ("accurate" | "estimate"):
            asked.with_total = True
        case "_total", "none":
            pass
        case "_sort", _:
            orders = _orders(kind, value)
            asked.orders = orders or asked.orders
            return bool(orders)
        case _ if name.partition(":")[0] in ("_include", "_revinclude"):
            wanted = includes.parse(name, value, kind)
            asked.includes += [one for one in wanted if one not in asked.includes]
            return bool(wanted)
        case _:
            return False
    asked.with_total = asked.with_total or asked.only_total
    return True


def sortable(kind: str) -> list[str]:
    """The parameters that ``_sort`` takes."""
    found = KINDS[kind]
    if isinstance(found, Listed):
        return []
    return [
        name for name, one in found.parameters.items() if isinstance(one, (Day, Moment, Identity))
    ]


def _orders(kind: str, value: str) -> tuple[Order, ...]:
    """Empty if one of the names cannot be sorted by."""
    known = sortable(kind)
    orders: dict[str, Order] = {}  # what comes again decides nothing
    for one in value.split(","):
        name = one.removeprefix("-")
        orders.setdefault(name, Order(name, one.startswith("-")))
    return tuple(orders.values()) if all(name in known for name in orders) else ()


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


def _sorted_by(asked: Asked) -> tuple[Order, ...]:
    """The id decides among equals."""
    return (*asked.orders, Order("_id", asked.orders[0].descends))


def _expression(source: Source, order: Order) -> Any:
    if not order.name:
        return F("created")
    match source.parameters[order.name]:
        case Day(field=name):
            return Coalesce(F(name), Value(UNDATED), output_field=DateField())
        case Moment(field=name):
            return F(name)
    return F("pk")


def _page(source: Source, rows: Any, asked: Asked, after: list[Any]) -> Any:
    """One row more than a page after the cursor: it shows whether there is another page."""
    orders = _sorted_by(asked)
    rows = rows.annotate(
        **{f"sort_{number}": _expression(source, one) for number, one in enumerate(orders)}
    )
    if after:
        first = "lte" if orders[0].descends else "gte"
        rows = rows.filter(**{f"sort_0__{first}": after[0]}).filter(_beyond(orders, after))
    names = (f"{'-' if one.descends else ''}sort_{number}" for number, one in enumerate(orders))
    return rows.order_by(*names)[: asked.count + 1]


def _beyond(orders: tuple[Order, ...], after: list[Any]) -> Q:
    """The rows that follow a row with these values."""
    beyond, same = Q(pk__in=[]), Q()
    for number, (order, value) in enumerate(zip(orders, after, strict=True)):
        further = "lt" if order.descends else "gt"
        beyond |= same & Q(**{f"sort_{number}__{further}": value})
        same &= Q(**{f"sort_{number}": value})
    return beyond


def _cursor(row: Any, asked: Asked) -> str:
    values = (getattr(row, f"sort_{number}") for number, _ in enumerate(_sorted_by(asked)))
    texts = [one.isoformat() if isinstance(one, date) else str(one) for one in values]
    return urlsafe_b64encode(json.dumps(texts).encode()).decode()


def _values(found: Stored, asked: Asked) -> list[Any]:
    """The sorted values of the row that the cursor names; empty on the first page."""
    if not asked.page:
        return []
    try:
        texts = untrusted_json.loads(urlsafe_b64decode(asked.page.encode("ascii")))
        orders = _sorted_by(asked)
        return [_value(found, order, text) for order, text in zip(orders, texts, strict=True)]
    except (ValueError, TypeError, AttributeError, binascii.Error):
        raise SearchError(NO_PAGE) from None


def _value(found: Stored, order: Order, text: str) -> Any:
    parameter = found.parameters.get(order.name)
    if isinstance(parameter, Identity):
        return UUID(text)
    if isinstance(parameter, Day):
        return date.fromisoformat(text)
    return moment(text)


def _listed(kind: Listed, asked: Asked, user: User, base: str) -> Found:
    """Few enough for one page, whatever page size was requested."""
    if asked.page:
        raise SearchError(NO_PAGE)
    found = kind.all(user, base)
    for name, modifier, value in asked.criteria:
        if modifier:
            raise SearchError(f"The modifier :{modifier} is not supported here.", "not-supported")
        found = [one for one in found if one[name.lstrip("_")] in split(value)]
    total = len(found)
    if asked.only_total:
        return Found([], total=total)
    included = includes.find(asked.includes, found, user, base)
    of = asked.subset.of
    return Found(list(map(of, found)), list(map(of, included)), total=total)
