"""One image seen by a network, before any decision: the network's output and the image's faults.

Used both for people's pictures and for those on which thresholds are fitted and evaluated.
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
    """The decision parameters in a version's card.

    prior [k], temperature: see `ml.calibrate`. thresholds: see `ml.outcome.decide`. gate: the
    in_distribution from which there is no remark; floor: that from which an image counts as
    dermatoscopic at all, at most the gate. by_image: whether the image alone may be more severe
    than with the patient context, which then cannot make it milder.
    """

    prior: npt.NDArray[np.float64]
    temperature: float
    thresholds: Mapping[str, float]
    gate: float
    floor: float
    by_image: bool

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Rules:
        """Cards from before `floor` and `decided_on` rejected everything below the gate and decided
        only on the reading with context.
        """
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
        """The probabilities that decide: the most severe outcome of them is used."""
        logits = [seen.logits, seen.image_logits] if self.by_image else [seen.logits]
        return [self.probabilities(one) for one in logits]


@dataclass(frozen=True, slots=True)
class Look:
    """seen: the whole image; others: parts that may hold another lesion, each read alone, with its
    evidence and mask mapped to the whole.

    of_picture, of_lesion: faults, see `ml.inference.quality`; more than one lesion belongs to the
    latter. is_doubtful: whether what looks like one lesion may be two. This is set only if the
    whole alone would get `monitor`.
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
        """All faults except the gate's."""
        return (*self.of_picture, *self.of_lesion)

    def told(self, rules: Rules) -> tuple[Outcome, str, tuple[str, ...]]:
        """Outcome, reason and remarks: see `ml.outcome.tell`."""
        score = self.in_distribution
        unlike = (NotAssessable.NOT_DERMATOSCOPIC,) if score < rules.gate else ()
        # A picture that is not dermatoscopic says nothing about a lesion in it either.
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
        """Probabilities of the whole, and of each dermatoscopic part."""
        parts = [one for one in self.others if share(one) >= rules.floor]
        return [reading for one in (self.seen, *parts) for reading in rules.readings(one)]

    def decisive(self, rules: Rules) -> Seen:
        """The look behind the outcome: the whole, unless a part is more severe."""
        seen = (self.seen, *(one for one in self.others if share(one) >= rules.floor))
        severity = [
            list(Outcome).index(severest(decide(one, rules.thresholds) for one in readings))
            for readings in map(rules.readings, seen)
        ]
        return seen[severity.index(min(severity))]

    def without_context(self) -> Look:
        """The same without patient context."""
        bare = [
            replace(one, context_terms=np.zeros_like(one.context_terms))
            for one in (self.seen, *self.others)
        ]
        return replace(self, seen=bare[0], others=tuple(bare[1:]))


def look(
    network: Network, pixels: npt.NDArray[np.uint8], context: PatientContext, floor: float = 0.0
) -> Look:
    """Run the network on an image [h, w, 3], sRGB, and on parts of it that may be lesions.

    If in_distribution is below floor, no parts are examined.
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
    """A part read alone. size: width, height of the reduced whole, to which its maps are mapped."""
    own = reduce(box.of(pixels))
    seen = network.see(own, context)
    mask = seen.mask * regions.main(seen.mask >= 0.5)
    return replace(
        seen,
        evidence=evidence_of_part(seen.evidence, box, own.size, size),
        mask=mask_of_part(mask, box, size),
    )


def share(seen: Seen) -> float:
    """The gate's logit as a probability, 0..1."""
    return float(1 / (1 + np.exp(-seen.in_distribution)))
