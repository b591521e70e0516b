"""One image seen by a network, before anything is decided: its answers and what is wrong with it.

The same for a person's picture and for those that thresholds are fitted and judged on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.calibrate import calibrated
from ml.diagnoses import Diagnosis
from ml.inference import quality, regions
from ml.inference.litert import Network, Seen
from ml.inference.views import Box, evidence_of_part, mask_of_part, reduce
from ml.outcome import decide, severest, tell
from ml.types import NotAssessable, Outcome, PatientContext


@dataclass(frozen=True, slots=True)
class Rules:
    """What a version's card says of deciding.

    prior [k], temperature: see `ml.calibrate`. thresholds: see `ml.outcome.decide`.
    gate: in_distribution from which nothing is remarked; floor: from which an image counts as
    dermatoscopic at all, at most the gate. by_image: whether the image alone may be more severe
    than with what is known of the patient, which then cannot make it milder.
    """

    prior: npt.NDArray[np.float64]
    temperature: float
    thresholds: Mapping[str, float]
    gate: float
    floor: float
    by_image: bool

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Rules:
        """Cards before `floor` and `decided_on` turned away all below the gate, and decided on the
        reading with context alone."""
        return cls(
            np.array([card["prior"][diagnosis] for diagnosis in Diagnosis]),
            card["temperature"],
            card["thresholds"],
            card["gate"]["threshold"],
            card["gate"].get("floor", card["gate"]["threshold"]),
            "image" in card.get("decided_on", ()),
        )

    def probabilities(self, logits: npt.NDArray[np.float64]) -> dict[str, float]:
        """Calibrated, by diagnosis."""
        values = calibrated(logits, self.prior, self.temperature)
        return {one.value: float(value) for one, value in zip(Diagnosis, values, strict=True)}

    def readings(self, seen: Seen) -> list[dict[str, float]]:
        """The probabilities that count: the severest of them is told."""
        logits = [seen.logits, seen.image_logits] if self.by_image else [seen.logits]
        return [self.probabilities(one) for one in logits]


@dataclass(frozen=True, slots=True)
class Look:
    """seen: the whole image; others: parts of it that may hold another lesion, each read alone, its
    evidence and mask laid where the part lies in the whole.

    of_picture, of_lesion: what is wrong, see `ml.inference.quality`; more than one lesion is of the
    latter.
    is_doubtful: whether what looks like one lesion may be two. That is only said where the whole
        alone would be told `monitor`.
    """

    seen: Seen
    others: tuple[Seen, ...]
    of_picture: tuple[NotAssessable, ...]
    of_lesion: tuple[NotAssessable, ...]
    is_doubtful: bool = False

    @property
    def in_distribution(self) -> float:
        """0..1, how much the image looks like a dermatoscopic image."""
        return share(self.seen)

    @property
    def faults(self) -> tuple[NotAssessable, ...]:
        """All but what the gate says."""
        return (*self.of_picture, *self.of_lesion)

    def told(self, rules: Rules) -> tuple[Outcome, str, tuple[str, ...]]:
        """Outcome, reason and remarks: see `ml.outcome.tell`."""
        score = self.in_distribution
        unlike = (NotAssessable.NOT_DERMATOSCOPIC,) if score < rules.gate else ()
        # Where no dermatoscopic picture is seen, no lesion in it can be judged either.
        of_lesion = self.of_lesion if score >= rules.floor else ()
        two = NotAssessable.MORE_THAN_ONE_LESION
        if self.is_doubtful and two not in of_lesion and score >= rules.floor:
            alone = severest(decide(one, rules.thresholds) for one in rules.readings(self.seen))
            of_lesion = (*of_lesion, two) if alone is Outcome.MONITOR else of_lesion
        return tell(
            severest(decide(one, rules.thresholds) for one in self.readings(rules)),
            (*self.of_picture, *unlike, *of_lesion),
            is_dermatoscopic=score >= rules.floor,
        )

    def readings(self, rules: Rules) -> list[dict[str, float]]:
        """Probabilities of the whole, and of each part that is dermatoscopic."""
        parts = [one for one in self.others if share(one) >= rules.floor]
        return [reading for one in (self.seen, *parts) for reading in rules.readings(one)]

    def decisive(self, rules: Rules) -> Seen:
        """What the outcome is of: the whole, unless a part of it says more."""
        seen = (self.seen, *(one for one in self.others if share(one) >= rules.floor))
        severity = [
            list(Outcome).index(severest(decide(one, rules.thresholds) for one in readings))
            for readings in map(rules.readings, seen)
        ]
        return seen[severity.index(min(severity))]

    def without_context(self) -> Look:
        """As if nothing were known of the patient."""
        bare = [
            replace(one, context_terms=np.zeros_like(one.context_terms))
            for one in (self.seen, *self.others)
        ]
        return replace(self, seen=bare[0], others=tuple(bare[1:]))


def look(
    network: Network, pixels: npt.NDArray[np.uint8], context: PatientContext, floor: float = 0.0
) -> Look:
    """See an image [h, w, 3], sRGB, and what else in it may be a lesion.

    Below floor (of in_distribution) nothing else is looked for.
    """
    reduced = reduce(pixels)
    seen = network.see(reduced, context)
    mask = seen.mask >= 0.5
    of_lesion = quality.of_lesion(reduced, mask)
    boxes: list[Box] = []
    doubtful: list[Box] = []
    if share(seen) >= floor:
        boxes = regions.others(reduced, mask)
        doubtful = regions.cores(reduced, mask)[: regions.MOST - len(boxes)]
    if boxes:
        if NotAssessable.LESION_TOO_SMALL not in of_lesion:
            of_lesion = (*of_lesion, NotAssessable.MORE_THAN_ONE_LESION)
        seen = replace(seen, mask=seen.mask * regions.main(mask))
    others = tuple(
        _part(network, pixels, box, reduced.size, context) for box in (*boxes, *doubtful)
    )
    of_picture = quality.of_picture(pixels, reduced)
    return Look(seen, others, of_picture, of_lesion, is_doubtful=bool(doubtful))


def _part(
    network: Network,
    pixels: npt.NDArray[np.uint8],
    box: Box,
    size: tuple[int, int],
    context: PatientContext,
) -> Seen:
    """A part read alone. size: width, height of the whole, reduced, on which its maps are laid."""
    own = reduce(box.of(pixels))
    seen = network.see(own, context)
    mask = seen.mask * regions.main(seen.mask >= 0.5)
    return replace(
        seen,
        evidence=evidence_of_part(seen.evidence, box, own.size, size),
        mask=mask_of_part(mask, box, size),
    )


def share(seen: Seen) -> float:
    """The gate's logit as 0..1."""
    return float(1 / (1 + np.exp(-seen.in_distribution)))
