"""A patient's lesions as numbered points on the body map."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject

from accounts.models import User
from screening.body_map import regions
from screening.models import Lesion, LesionPosition, Patient
from screening.predictions import outcomes
from screening.records import queries as record_queries

STATES = {
    **{outcome.value: outcome.label for outcome in outcomes.SEVERITY},
    "": "No reading",
    "awaited": "Still to be done",
    "settled": "Settled by a doctor",
    "closed": "Removed",
}
"""The states of a lesion on the map, in words; most severe first."""


@dataclass(frozen=True, slots=True)
class MapPoint:
    """x, y: in units of the whole map, with both figures side by side. state: one of STATES."""

    lesion: Lesion
    x: float
    y: float
    where: str
    state: str
    is_listed: bool


@dataclass(frozen=True, slots=True)
class LegendEntry:
    state: str
    label: str
    count: int


def overview(patient: Patient, user: User) -> list[Lesion]:
    """All lesions of a patient ``with_latest`` as far as ``user`` may see it, most severe first,
    each with its ``position`` and ``number``. One query.
    """
    lesions = with_position(record_queries.with_latest(patient.lesions.all(), user))
    return number(record_queries.most_severe_first(lesions))


def with_position(lesions: QuerySet[Lesion]) -> QuerySet[Lesion]:
    """Annotate the current ``position``: view, x, y, region and side; None until it is placed."""
    standing = LesionPosition.objects.filter(lesion=OuterRef("pk")).order_by("-created", "-pk")
    fields = {name: name for name in ("view", "x", "y", "region", "side")}
    found = Subquery(standing.values(found=JSONObject(**fields))[:1])
    return lesions.annotate(position=found)  # type: ignore[no-redef]


def number(lesions: list[Lesion]) -> list[Lesion]:
    """Give each of a patient's lesions its ``number``: the order in which they were opened,
    independent of the sort order of the list.
    """
    for count, lesion in enumerate(sorted(lesions, key=lambda one: (one.created, one.pk)), 1):
        lesion.number = count
    return lesions


def points(lesions: list[Lesion], listed: list[Lesion]) -> list[MapPoint]:
    """The placed lesions of an ``overview``; the first is drawn last, on top.

    listed: lesions that the page also names in a list.
    """
    keys = {lesion.pk for lesion in listed}
    return [
        _point(lesion, is_listed=lesion.pk in keys, **lesion.position)
        for lesion in reversed(lesions)
        if lesion.position is not None
    ]


def legend(points: list[MapPoint]) -> list[LegendEntry]:
    """The meaning of the shapes present on the map, most severe first."""
    counts = Counter(point.state for point in points)
    return [LegendEntry(one, word, counts[one]) for one, word in STATES.items() if counts[one]]


def state_of(lesion: Lesion) -> str:
    """One of ``STATES`` for a lesion ``with_latest``. A standing outcome takes precedence."""
    row: Any = lesion
    if row.standing_rank < outcomes.NOTHING:
        return outcomes.of_rank(row.standing_rank)
    if lesion.is_closed:
        return "closed"
    if row.awaits:
        return "awaited"
    is_settled = row.management or row.histology or row.visited
    return "settled" if is_settled else ""


def _point(
    lesion: Lesion, *, view: str, x: float, y: float, region: str, side: str, is_listed: bool
) -> MapPoint:
    offset = next(figure.offset for figure in regions.figures() if figure.view == view)
    return MapPoint(
        lesion,
        offset + x * regions.WIDTH,
        y * regions.HEIGHT,
        regions.where(view, region, side),
        state_of(lesion),
        is_listed,
    )
