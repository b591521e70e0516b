"""A patient's lesions as numbered points on the body map."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject

from accounts.models import User
from screening import body, tracking
from screening.models import Lesion, LesionPosition, Patient
from screening.tracking import SEVERITY


@dataclass(frozen=True, slots=True)
class MapPoint:
    """x, y: in the units of the whole map, both figures beside one another."""

    lesion: Lesion
    x: float
    y: float
    where: str
    outcome: str
    is_listed: bool


@dataclass(frozen=True, slots=True)
class LegendEntry:
    outcome: str
    label: str
    count: int


def overview(patient: Patient, user: User) -> list[Lesion]:
    """All lesions of a patient ``with_latest`` as ``user`` may see it, the most severe first, each
    with its ``position`` and its ``number``. One query."""
    lesions = with_position(tracking.with_latest(patient.lesions.all(), user))
    return number(list(tracking.most_severe_first(lesions)))


def with_position(lesions: QuerySet[Lesion]) -> QuerySet[Lesion]:
    """Annotate ``position``: view, x, y, region and side as they stand; None until it is placed."""
    standing = LesionPosition.objects.filter(lesion=OuterRef("pk")).order_by("-created", "-pk")
    fields = {name: name for name in ("view", "x", "y", "region", "side")}
    return lesions.annotate(position=Subquery(standing.values(found=JSONObject(**fields))[:1]))


def number(lesions: list[Lesion]) -> list[Lesion]:
    """Give each of a patient's lesions its ``number``: the order in which they were opened, which
    stays whatever the list is sorted by."""
    for count, lesion in enumerate(sorted(lesions, key=lambda one: (one.created, one.pk)), 1):
        lesion.number = count  # type: ignore[attr-defined]
    return lesions


def points(lesions: list[Lesion], listed: list[Lesion]) -> list[MapPoint]:
    """Those of an ``overview`` that are placed; the first one comes last, and so lies on top.

    listed: those that the page also names in a list.
    """
    return [
        _point(lesion, is_listed=lesion in listed, **lesion.position)  # type: ignore[attr-defined]
        for lesion in reversed(lesions)
        if lesion.position is not None  # type: ignore[attr-defined]
    ]


def legend(points: list[MapPoint]) -> list[LegendEntry]:
    """What the shapes on the map mean, as far as they are there; the most severe first."""
    words = {**{one.value: one.label for one in SEVERITY}, "": "No reading"}
    counts = Counter(point.outcome for point in points)
    return [LegendEntry(one, word, counts[one]) for one, word in words.items() if counts[one]]


def _point(
    lesion: Lesion, *, view: str, x: float, y: float, region: str, side: str, is_listed: bool
) -> MapPoint:
    offset = next(figure.offset for figure in body.figures() if figure.view == view)
    return MapPoint(
        lesion,
        offset + x * body.WIDTH,
        y * body.HEIGHT,
        body.where(view, region, side),
        lesion.latest_outcome or "",  # type: ignore[attr-defined]
        is_listed,
    )
