"""The contents of a report on one lesion, as far as the reader may see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accounts.models import User
from screening.comparisons.presenters import readings_of
from screening.formatting import clinical
from screening.models import Alert, Histology, Lesion, LesionImage, Prediction, Review
from screening.predictions.outcomes import Standing
from screening.predictions.queries import standing_reviews
from screening.records import queries as record_queries
from screening.records import timeline
from screening.records.timeline import Event, Told


@dataclass(frozen=True, slots=True)
class LesionRecord:
    """images: latest capture first, with findings and measurements. told, events: by day.
    outlining: the reading behind the outline, by shown image.
    """

    lesion: Lesion
    images: list[LesionImage]
    alerts: list[Alert]
    histologies: list[Histology]
    standing: Standing
    told: list[Told]
    events: list[Event]
    outlining: dict[Any, Prediction | None]

    def worded(self, text: str) -> str:
        """The text in the words of whoever keeps the record: ``docs/glossary.md``."""
        return clinical(text) if self.lesion.patient.clinic_id else text

    @property
    def newest(self) -> LesionImage | None:
        return self.images[0] if self.images else None

    @property
    def concluded(self) -> LesionImage | None:
        """The image on which a clinician has concluded last."""
        review = self.standing.concluded
        return review.image if review else None

    @property
    def reviews(self) -> list[Review]:
        """All standing reviews, those on the latest image first."""
        return [review for image in self.images for review in standing_reviews(image)]

    @property
    def withheld(self) -> int:
        """Images on which the reader must conclude before seeing the findings."""
        return sum(image.is_withheld for image in self.images)

    @property
    def is_synthetic(self) -> bool:
        return any(image.is_synthetic for image in self.images)

    @property
    def versions(self) -> list[str]:
        return list(dict.fromkeys(one.model_version for one in self.told if one.model_version))


def record_of(lesion: Lesion, user: User) -> LesionRecord:
    images = record_queries.timeline(lesion, user)
    alerts = record_queries.alerts_of(lesion, user, images)
    histologies = record_queries.histologies_of(lesion, user)
    standing = record_queries.standing_of(lesion, images, histologies)
    return LesionRecord(
        lesion=lesion,
        images=images,
        alerts=alerts,
        histologies=histologies,
        standing=standing,
        told=timeline.readings(images),
        events=timeline.events([lesion], images, alerts, histologies, standing.visits, user),
        outlining=readings_of(shown(images), user),
    )


def shown(images: list[LesionImage]) -> list[LesionImage]:
    """The newest image, and the earlier ones beside it."""
    return [*images[:1], *chosen(images)]


def chosen(images: list[LesionImage]) -> list[LesionImage]:
    """Earlier pictures to show beside the newest: the first and the two before the newest."""
    earlier = images[1:]
    return list(dict.fromkeys([*earlier[-1:], *earlier[1::-1]]))
