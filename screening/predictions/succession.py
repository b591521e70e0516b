"""Changes of outcomes after a new default version or new thresholds."""

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
    """A lesion whose most severe reading has a new outcome, whether or not it was settled."""

    lesion_id: UUID
    before: Prediction
    after: Prediction

    @property
    def is_milder(self) -> bool:
        return rank(self.after.outcome_told) > rank(self.before.outcome_told)


def changes() -> list[Change]:
    """Lesions whose counting readings give another outcome than those they replaced, by another
    version or with other thresholds. Milder outcomes come first, the largest drops on top.
    Withdrawn lesions and patients are left out.
    """
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
    """The most severe former readings of images ``with_findings``, if they were more severe than
    the current ones. They stay visible.
    """
    return [graver for image in images if (graver := graver_before(image))]


def _pair(told: list[Prediction]) -> tuple[Prediction, Prediction]:
    """The counting reading of an image, and the last one before it by another version or with other
    thresholds; the same reading twice if there is none.
    """
    now = told[0]
    for then in told[1:]:
        if _made_by(then) != _made_by(now):
            return then, now
    return now, now


def _made_by(reading: Prediction) -> tuple[str, str]:
    return reading.model_version, reading.thresholds_version


def _rank(reading: Prediction) -> int:
    return rank(reading.outcome_told) if reading.outcome_told else NOTHING
