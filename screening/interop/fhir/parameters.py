"""Search parameters of FHIR R4: how a value of each type filters rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Protocol
from uuid import UUID

from django.db.models import Q

from screening.errors import SearchError

ALL = Q(pk__isnull=False)
NOTHING = Q(pk__in=[])
_DATE = re.compile(
    r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?"
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6})\d*)?)?(Z|[+-]\d\d:\d\d)?)?)?)?"
)


class Parameter(Protocol):
    """type: FHIR's SearchParamType. ``q`` raises SearchError; modifier: "" without one."""

    @property
    def type(self) -> str: ...

    @property
    def about(self) -> str: ...

    def q(self, value: str, modifier: str) -> Q: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """``_id``: the resource's own identifier."""

    about: str = "The resource's id."
    type: str = "token"

    def q(self, value: str, modifier: str) -> Q:
        _no_modifier(modifier)
        pk = _uuid(value)
        return Q(pk=pk) if pk else NOTHING


@dataclass(frozen=True, slots=True)
class Reference:
    """field: the lookup of the referenced row. ``Kind/id``, the id alone, or the full URL."""

    field: str
    kinds: tuple[str, ...]
    about: str
    type: str = "reference"

    def q(self, value: str, modifier: str) -> Q:
        if modifier not in ("", *self.kinds):
            raise SearchError(f"It cannot be searched by :{modifier} here.", "not-supported")
        path, _, last = value.rpartition("/")
        if path and path.rpartition("/")[2] not in self.kinds:
            return NOTHING
        pk = _uuid(last)
        return Q(**{self.field: pk}) if pk else NOTHING


@dataclass(frozen=True, slots=True)
class Token:
    """matches: (system, value) -> the rows; system: None for any system."""

    matches: Callable[[str | None, str], Q]
    about: str
    type: str = "token"

    def q(self, value: str, modifier: str) -> Q:
        _no_modifier(modifier)
        system, bar, code = value.partition("|")
        return self.matches(system, code) if bar else self.matches(None, system)


@dataclass(frozen=True, slots=True)
class Day:
    """field: a DateField. A date with a time counts as its day."""

    field: str
    about: str
    type: str = "date"

    def q(self, value: str, modifier: str) -> Q:
        _no_modifier(modifier)
        prefix, low, high = span(value)
        last = (high - timedelta(microseconds=1)).date()
        return _compared(self.field, prefix, low.date(), last + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Moment:
    """field: a DateTimeField."""

    field: str
    about: str
    type: str = "date"

    def q(self, value: str, modifier: str) -> Q:
        _no_modifier(modifier)
        return _compared(self.field, *span(value))


def span(value: str) -> tuple[str, datetime, datetime]:
    """The prefix, and the half-open period that a value of this precision covers.

    ``2026-03`` is all of March; without an offset it is UTC. Raises SearchError.
    """
    found = _DATE.fullmatch(value)
    if found is None:
        raise SearchError(f"{value!r} is no date. Write 2026, 2026-03, 2026-03-12 or a time.")
    prefix, year, month, day, hour, minute, second, fraction, offset = found.groups()
    if prefix == "ap":
        raise SearchError("The prefix ap (approximately) is not supported.", "not-supported")
    try:
        low = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
        if hour:
            clock = time(int(hour), int(minute), int(second or 0))
            low = datetime.combine(low, clock, _zone(offset))
            low += timedelta(microseconds=int((fraction or "0").ljust(6, "0")))
        low = low.astimezone(UTC)
        high = low + _precision(low, month, day, hour, second, fraction)
    except (ValueError, OverflowError):
        raise SearchError(f"{value!r} is no day of the calendar, or no time.") from None
    return prefix or "eq", low, high


def split(value: str) -> list[str]:
    """The alternatives of a value, split at commas that no backslash escapes."""
    return [re.sub(r"\\([,|$\\])", r"\1", part) for part in re.split(r"(?<!\\),", value)]


def _precision(
    low: datetime,
    month: str | None,
    day: str | None,
    hour: str | None,
    second: str | None,
    fraction: str | None,
) -> timedelta:
    if fraction:
        return timedelta(microseconds=10 ** (6 - len(fraction)))
    if hour:
        return timedelta(seconds=1) if second else timedelta(minutes=1)
    if day:
        return timedelta(days=1)
    if month:
        following = (low.replace(day=28) + timedelta(days=4)).replace(day=1)
        return following - low
    return low.replace(year=low.year + 1) - low


def _zone(offset: str | None) -> timezone:
    if offset is None or offset == "Z":
        return UTC
    sign = -1 if offset.startswith("-") else 1
    hours, minutes = offset[1:].split(":")
    return timezone(sign * timedelta(hours=int(hours), minutes=int(minutes)))


def _compared(field: str, prefix: str, low: object, high: object) -> Q:
    within = Q(**{f"{field}__gte": low, f"{field}__lt": high})
    match prefix:
        case "eq":
            return within
        case "ne":
            return ~within
        case "ge":
            return Q(**{f"{field}__gte": low})
        case "gt" | "sa":
            return Q(**{f"{field}__gte": high})
        case "le":
            return Q(**{f"{field}__lt": high})
    return Q(**{f"{field}__lt": low})


def _no_modifier(modifier: str) -> None:
    if modifier:
        raise SearchError(f"The modifier :{modifier} is not supported here.", "not-supported")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
