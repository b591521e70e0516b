"""What arrived at a lesion, and in which order.

A clinician who concludes on a lesion is shown everything that had arrived up to ``last``. Their act
settles nothing that arrives later (``Settling.shown_at``), however early its day. The order does
not depend on the clock: everything that arrives, every act and every correction gets
``next_moment``, which is later than all earlier ones even if the clock was set back. Only these
moments are compared to decide what is settled, closed or undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, OuterRef, Prefetch, QuerySet, Subquery
from django.utils import timezone

from accounts.models import User
from screening.models import (
    Alert,
    Correction,
    CorrectionKind,
    DoctorVisit,
    Histology,
    Lesion,
    LesionImage,
    Outcome,
    Prediction,
    Review,
)

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What arrived at a lesion since a moment, as far as one user may see it.

    images: pictures that took their place since, with the findings that the user may see. graver:
    counting readings of other pictures that became more severe. symptoms: all marked ones, if one
    was marked since. others: alerts, acts and reopenings.
    """

    images: list[LesionImage]
    graver: list[Prediction]
    symptoms: list[str]
    others: list[Alert | Review | Histology | DoctorVisit | Correction]

    def __bool__(self) -> bool:
        return bool(self.images or self.graver or self.symptoms or self.others)


def last(lesion: Lesion, user: User | None = None) -> datetime:
    """The moment of the last arrival; with ``user``, of the last that they may see."""
    return max(_moments(lesion, user))


def hold(*lesions: Lesion) -> None:
    """Lock the lesions until the transaction ends. All code locks patients, then lesions, then what
    belongs to them, so there are no deadlocks.
    """
    held = Lesion.everything.filter(pk__in=[lesion.pk for lesion in lesions]).order_by("pk")
    list(held.select_for_update(no_key=True))


def next_moment(*lesions: Lesion) -> datetime:
    """The moment for a new arrival: later than everything that arrived at these lesions before, and
    than every correction of them.

    Locks the lesions until the transaction ends, so that arrivals with an earlier moment are
    already visible.
    """
    hold(*lesions)
    before = (max(_moments(lesion, None, *_corrections())) for lesion in lesions)
    return max([timezone.now(), *(moment + _TICK for moment in before)])


def shown(lesion: Lesion, told: datetime | None, user: User) -> datetime:
    """The moment up to which an act by ``user`` takes arrivals into account: the one they were
    ``told``, or else that of the last arrival they may see.
    """
    there = last(lesion, user)
    return there if told is None else min(told, there)


def since(lesion: Lesion, moment: datetime, user: User) -> Arrivals:
    """What arrived after ``moment``."""
    lesion = Lesion.objects.get(pk=lesion.pk)
    images = lesion.images.latest_first().select_related("lesion__patient")
    found = Prefetch("predictions", Prediction.objects.disclosed_to(user))
    new = list(images.filter(placed_at__gt=moment).prefetch_related(found))
    readings = Prediction.objects.counting().filter(image__in=images.filter(placed_at__lte=moment))
    read = readings.filter(told_from__gt=moment).disclosed_to(user)
    marked = lesion.symptoms_at is not None and lesion.symptoms_at > moment
    return Arrivals(
        images=new,
        graver=[
            one for one in read.select_related("image__lesion__patient") if _is_graver(one, moment)
        ],
        symptoms=lesion.symptoms if marked else [],
        others=[
            one
            for found in _others(lesion, user)
            for one in found.filter(created__gt=moment)
            if not getattr(one, "is_withdrawn", False)
        ],
    )


def _is_graver(reading: Prediction, moment: datetime) -> bool:
    """Whether the reading is a warning, and a milder one or none was shown at that moment."""
    told = Prediction.objects.filter(
        image=reading.image_id, told_from__lte=moment, told_until__gt=moment
    )
    before = told.select_related("image__lesion__patient").first()
    if before is None or not before.is_grave:
        return reading.is_grave
    return reading.outcome == Outcome.URGENT != before.outcome


def _moments(lesion: Lesion, user: User | None, *others: QuerySet[Any]) -> list[datetime]:
    """others: more rows of the outer query's lesion. One query."""
    row = OuterRef("pk")
    readings = Prediction.objects.filter(image__lesion=row)
    if user is not None:
        readings = readings.disclosed_to(user)
    found = [
        _latest(LesionImage.everything.filter(lesion=row), "placed_at"),
        _latest(readings.filter(told_from__isnull=False), "told_from"),
        *(_latest(rows, "created") for rows in (*_others(row, user), *others)),
    ]
    own = Lesion.everything.filter(pk=lesion.pk).values_list("created", "symptoms_at", *found)
    return [moment for moment in own.get() if moment is not None]


def _others(lesion: Any, user: User | None) -> Iterator[QuerySet[Any]]:
    """Alerts, acts and reopenings of the lesion that ``user`` may see, including withdrawn
    entries.
    """
    found: tuple[Any, ...] = (
        Alert.everything.filter(lesion=lesion),
        Review.objects.filter(image__lesion=lesion),
        Histology.everything.filter(lesion=lesion),
        Correction.objects.filter(lesion=lesion, kind=CorrectionKind.REOPENED),
    )
    yield from (one if user is None else one.disclosed_to(user) for one in found)
    yield DoctorVisit.everything.filter(lesion=lesion)


def _corrections() -> Iterator[QuerySet[Any]]:
    """Corrections of the outer query's lesion, of its images, and of those merged into it."""
    for lesion in ("lesion", "image__lesion", "lesion__merged_into"):
        yield Correction.objects.filter(**{lesion: OuterRef("pk")})


def _latest(rows: QuerySet[Any], name: str) -> Subquery:
    return Subquery(rows.order_by(F(name).desc()).values(name)[:1])
