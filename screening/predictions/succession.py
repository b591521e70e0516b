"""What is told otherwise since the default version, or its thresholds, became others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from screening.models import LesionImage, Prediction
from screening.models.image import present
from screening.predictions.outcomes import NOTHING, graver_before, rank

ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """A lesion whose gravest reading says another thing now, whatever has settled it."""

    lesion_id: UUID
    before: Prediction
    after: Prediction

    @property
    def is_milder(self) -> bool:
        return rank(self.after.outcome_told) > rank(self.before.outcome_told)


def changes() -> list[Change]:
    """Lesions that are told otherwise by the readings that count than by those they replaced, by
    another version or by other thresholds. Milder ones first, the furthest fall on top. None that
    is withdrawn, or whose patient is."""
    found = []
    readings = (
        Prediction.objects.filter(present(), told_from__isnull=False)
        .select_related("image__lesion__patient")
        .defer("probabilities", "balanced_probabilities", "image_logits", "context_terms")
        .order_by("image__lesion", "image", "-told_from")
    )
    for lesion, told in groupby(
        readings.iterator(ROWS_AT_ONCE), key=lambda reading: reading.image.lesion_id
    ):
        pairs = [_pair(list(of_image)) for _, of_image in groupby(told, key=lambda r: r.image_id)]
        before = min((then for then, _ in pairs), key=_rank)
        after = min((now for _, now in pairs), key=_rank)
        if any(then != now for then, now in pairs) and _rank(before) != _rank(after):
            found.append(Change(lesion, before, after))
    return sorted(found, key=lambda one: _rank(one.before) - _rank(one.after))


def was_graver(images: Iterable[LesionImage]) -> list[Prediction]:
    """Of images ``with_findings``: the gravest readings that counted before, where they said more
    than those that count now. They are kept in sight."""
    return [graver for image in images if (graver := graver_before(image))]


def _pair(told: list[Prediction]) -> tuple[Prediction, Prediction]:
    """The reading of an image that counts, and the last before it by another version or by other
    thresholds; the same twice where there is none."""
    now = told[0]
    for then in told[1:]:
        if _made_by(then) != _made_by(now):
            return then, now
    return now, now


def _made_by(reading: Prediction) -> tuple[str, str]:
    return reading.model_version, reading.thresholds_version


def _rank(reading: Prediction) -> int:
    return rank(reading.outcome_told) if reading.outcome_told else NOTHING
