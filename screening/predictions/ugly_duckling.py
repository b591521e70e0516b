"""Which of a patient's lesions looks least like the others.

The ugly duckling sign: a person's moles resemble one another, and one that does not deserves a look
(Grob and Bonerandi, Arch. Dermatol. 134 (1998) 103-104). Similarity comes from the network's
features. A distance is neither a probability nor a finding.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from uuid import UUID

import numpy as np
import numpy.typing as npt
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from accounts.models import User
from screening.errors import Unreadable
from screening.models import Lesion, Outcome, Patient, Prediction, PredictionMaps
from screening.models.image import latest_first, present
from screening.models.prediction import PredictionQuerySet

logger = logging.getLogger(__name__)

LEAST = 5
"""Lesions with a reading. Fewer are not enough to compare."""

MOST_DIFFERENT = 20
"""A page shows the order of this many lesions."""

TOO_FEW = "Spots are compared with one another once five of them have been read by one model."


@dataclass(frozen=True, slots=True)
class Ranked:
    """distance: 0 for a lesion that looks like the median of the others, at most 2."""

    rank: int
    lesion: Lesion
    image_id: UUID
    prediction_id: UUID
    distance: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """All lesions that could be compared, least similar first. unreadable: how many could not,
    because their stored features do not open.
    """

    model_version: str
    lesions: list[Ranked]
    unreadable: int = 0

    @property
    def first(self) -> Ranked:
        return self.lesions[0]

    @property
    def most_different(self) -> list[Ranked]:
        return self.lesions[:MOST_DIFFERENT]

    @property
    def is_long(self) -> bool:
        return len(self.lesions) > MOST_DIFFERENT

    @property
    def statement(self) -> str:
        """What being first means, in plain words."""
        told = (
            f"Of {len(self.lesions)} spots this one looks least like the others to the software. "
            "One always comes first, so this alone is no sign of disease, and it clears none of "
            "the others. If it looks out of place to you too, show it to a doctor."
        )
        if self.unreadable:
            told += f" Not compared, because their features cannot be opened: {self.unreadable}."
        return told


def ranking(patient: Patient, lesions: list[Lesion], user: User) -> Ranking | None:
    """Rank lesions by the counting reading of each one's newest assessable image, as far as
    ``user`` may see it.

    All readings are by the model version behind most of them. Returns None with fewer than LEAST
    readings. Features that cannot be opened are left out. Two queries. lesions: all lesions of the
    patient.
    """
    if len(lesions) < LEAST:
        return None
    version, chosen = _newest(_assessable(patient))
    visible = PredictionMaps.objects.visible_to(user).filter(prediction__in=chosen)
    rows = (
        visible.select_related("prediction__image")
        .only("features", "prediction__image__lesion")
        .order_by("prediction__image__lesion__created", "prediction__image__lesion")
    )
    kept = [(maps, _features(maps)) for maps in rows]
    found = [maps for maps, features in kept if features is not None]
    if len(found) < LEAST:
        return None
    away = _distances(tuple(features for _, features in kept if features is not None))
    by_key = {lesion.pk: lesion for lesion in lesions}
    ranked = [
        Ranked(
            rank,
            by_key[found[n].prediction.image.lesion_id],
            found[n].prediction.image_id,
            found[n].prediction_id,
            round(float(away[n]), 4),
        )
        for rank, n in enumerate(np.argsort(-away, kind="stable"), 1)
    ]
    return Ranking(version, ranked, unreadable=len(kept) - len(found))


def _features(maps: PredictionMaps) -> bytes | None:
    try:
        return bytes(maps.features or b"")
    except Unreadable as error:
        logger.warning(
            "prediction %s: its features cannot be opened: %s", maps.prediction_id, error
        )
        return None


@lru_cache(8)
def _distances(features: tuple[bytes, ...]) -> npt.NDArray[np.float64]:
    """Distances of stored features, cached: the median of many takes longer than the rest of a
    patient's page.
    """
    return distances(np.stack([np.frombuffer(one, np.float16) for one in features]).astype(float))


def distances(features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The cosine distance of each row from the median of the others. features: [n, width].

    The median keeps a second outlier among the others from pulling it over.
    """
    others = _median_of_others(features)
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(others, axis=1)
    alike = (features * others).sum(axis=1) / np.where(lengths > 0, lengths, 1)
    away: npt.NDArray[np.float64] = 1 - alike
    return away


def _median_of_others(features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each row, the median of all other rows, column by column, in one sort.

    Without the value at position r of a sorted column, the value at position p of the rest is the
    one at p, or at p + 1 if p >= r.
    """
    count = len(features)
    order = features.argsort(axis=0)
    columns = np.take_along_axis(features, order, axis=0)
    places = order.argsort(axis=0)
    middles = {(count - 2) // 2, (count - 1) // 2}
    medians = [np.where(p >= places, columns[p + 1], columns[p]) for p in middles]
    found: npt.NDArray[np.float64] = np.mean(medians, axis=0)
    return found


def _assessable(patient: Patient) -> PredictionQuerySet:
    return (
        Prediction.objects.counting()
        .exclude(outcome=Outcome.NOT_ASSESSABLE)
        .filter(present(), image__lesion__patient=patient, maps__features__isnull=False)
    )


def _newest(readings: PredictionQuerySet) -> tuple[str, list[UUID]]:
    """The version that read most lesions (the newer of two), and its reading of each lesion's last
    captured image.
    """
    place = Window(
        RowNumber(),
        partition_by=[F("model_version"), F("image__lesion")],
        order_by=[*latest_first("image"), F("created").desc()],
    )
    chosen: dict[str, list[UUID]] = {}
    made: dict[str, datetime] = {}
    newest = readings.annotate(place=place).filter(place=1).order_by("created")
    for version, pk, created in newest.values_list("model_version", "pk", "created"):
        chosen.setdefault(version, []).append(pk)
        made[version] = created
    if not chosen:
        return "", []
    most = max(chosen, key=lambda version: (len(chosen[version]), made[version]))
    return most, chosen[most]
