"""Read path of a lesion's history: measurements by day, and what people recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.utils import timezone

from accounts.models import User
from screening.measurements.millimetres import scale_of
from screening.measurements.queries import current
from screening.models import (
    Alert,
    ChangeMark,
    DoctorVisit,
    Histology,
    Lesion,
    LesionImage,
    Outcome,
    Review,
)
from screening.predictions.queries import counting_reading, standing_reviews


class Kind(StrEnum):
    """Kinds of events, in the order in which they are drawn from the bottom."""

    MARK = "mark"
    ALERT = "alert"
    REVIEW = "review"
    VISIT = "visit"
    HISTOLOGY = "histology"


@dataclass(frozen=True, slots=True)
class Event:
    """A finding or a record beside the images. on: for an alert, the day of capture of its later
    image; for histology and visits, that of the examination; else the day it was recorded.
    """

    kind: Kind
    on: date
    lesion_id: UUID
    words: str


@dataclass(frozen=True, slots=True)
class Told:
    """The result of an image's reading. p_malignant: None if the model did not assess it; outcome
    and model_version: empty until it is read.
    """

    image: LesionImage
    outcome: str
    p_malignant: float | None
    model_version: str


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of an image. model_version: the version that outlined it, empty for an
    outline drawn by hand; values in pixels and shares. mm_per_pixel: None without a scale.
    """

    image: LesionImage
    model_version: str
    values: dict[str, Any]
    mm_per_pixel: float | None

    @property
    def within(self) -> str:
        return f"model {self.model_version}" if self.model_version else "drawn by hand"


def readings(images: Iterable[LesionImage]) -> list[Told]:
    """Readings by day of capture, of images ``with_findings`` sorted by latest capture."""
    return [_told(image) for image in reversed(list(images))]


def measurements(images: Iterable[LesionImage]) -> list[Measured]:
    """Measurements by day of capture, of images ``with_measures`` sorted by latest capture."""
    found = []
    for image in reversed(list(images)):
        one = current(image)
        if one is not None:
            version: str = one.model_version or ""  # type: ignore[attr-defined]
            found.append(Measured(image, version, one.values, scale_of(image)))
    return found


def events(
    lesions: list[Lesion],
    images: Iterable[LesionImage],
    alerts: Iterable[Alert],
    histologies: Iterable[Histology],
    visits: Iterable[DoctorVisit],
    user: User,
) -> list[Event]:
    """Events by day. The arguments belong to these lesions: images ``with_findings``, alerts with
    their ``later`` image. One query, for the change marks.
    """
    marks = ChangeMark.objects.visible_to(user).filter(comparison__later__lesion__in=lesions)
    found = [
        *(
            Event(
                Kind.MARK, _day(mark), mark.comparison.later.lesion_id, mark.get_verdict_display()
            )
            for mark in marks.select_related("comparison__later")
        ),
        *(
            Event(Kind.ALERT, alert.later.captured_on, alert.lesion_id, _of_alert(alert))
            for alert in alerts
            if alert.replaced_at is None
        ),
        *(
            Event(Kind.REVIEW, _day(review), image.lesion_id, _of_review(review, image))
            for image in images
            for review in image.reviews.all()
        ),
        *(
            Event(Kind.HISTOLOGY, one.examined_on, one.lesion_id, one.get_diagnosis_display())
            for one in histologies
        ),
        *(
            Event(Kind.VISIT, one.visited_on, one.lesion_id, one.get_finding_display())
            for one in visits
        ),
    ]
    return sorted(found, key=lambda event: (event.on, event.kind))


def _told(image: LesionImage) -> Told:
    reading = counting_reading(image)
    if reading is None:
        return Told(image, "", None, "")
    assessed = reading.outcome != Outcome.NOT_ASSESSABLE
    return Told(
        image,
        reading.outcome_told,
        reading.p_malignant if assessed else None,
        reading.model_version,
    )


def _day(record: Any) -> date:
    return timezone.localdate(record.created)


def _of_review(review: Review, image: LesionImage) -> str:
    stands = review in standing_reviews(image)
    return f"{review.get_conclusion_display()}{'' if stands else ' (superseded)'}"


def _of_alert(alert: Alert) -> str:
    return f"{alert.get_rule_display()}{'' if alert.is_open else ' (closed)'}"
