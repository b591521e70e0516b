"""The vocabulary of the reader: outcomes, reasons, patient context and readings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class Outcome(StrEnum):
    """The outcomes shown to the person, most severe first."""

    URGENT = "urgent"
    SEE_DOCTOR = "see_doctor"
    MONITOR = "monitor"
    NOT_ASSESSABLE = "not_assessable"


class NotAssessable(StrEnum):
    """Faults of an image: the reason for having no outcome or, beside an outcome, a remark."""

    NOT_DERMATOSCOPIC = "not_dermatoscopic"
    NO_COLOUR = "no_colour"
    TOO_SMALL = "too_small"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    LOW_CONTRAST = "low_contrast"
    BLURRED = "blurred"
    GLARE = "glare"
    LESION_TOO_SMALL = "lesion_too_small"
    LESION_CUT_OFF = "lesion_cut_off"
    MORE_THAN_ONE_LESION = "more_than_one_lesion"


REMARKS_ONLY = frozenset({NotAssessable.LESION_CUT_OFF})
"""Faults that do not keep an image from being told `monitor`: they are only remarks."""

SEXES = ("female", "male")
LOCALIZATIONS = (
    "abdomen",
    "acral",
    "back",
    "chest",
    "ear",
    "face",
    "foot",
    "genital",
    "hand",
    "lower extremity",
    "neck",
    "scalp",
    "trunk",
    "upper extremity",
)
MAX_AGE = 120


MEASURES_VERSION = "m1"
REGISTRATION_VERSION = "r1"
"""The version of `ml.lesion.measure` and `ml.lesion.register`, whose results are stored. Here, so
that asking for it does not load them.
"""


@dataclass(frozen=True, slots=True)
class PatientContext:
    """What is known about the patient and the site; None if unknown.

    age: years. sex: one of SEXES. localization: one of LOCALIZATIONS.
    """

    age: float | None = None
    sex: str | None = None
    localization: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for an impossible age: it is never clamped."""
        if self.age is not None and not 0 <= self.age <= MAX_AGE:
            raise ValueError(f"age must lie between 0 and {MAX_AGE} years, not {self.age:g}")

    @classmethod
    def parse(cls, age: object, sex: object, localization: object) -> PatientContext:
        """Parse the three fields as people and files write them.

        None, "", "unknown" and "nan" mean unknown. Raises ValueError, with a message for the user,
        for an age that is not a number of years and for a term that is not in the lists.
        """
        return cls(
            age=_age(_known(age)),
            sex=_word(_known(sex), SEXES, "sex"),
            localization=_word(_known(localization), LOCALIZATIONS, "localization"),
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """One model version's reading of one image. Numbers are present even if it is not assessable.

    reason: a NotAssessable code, "" for every other outcome. remarks: NotAssessable codes: further
    faults of the image, shown beside the outcome. probabilities: for a clinic's mix of cases
    (calibrated); balanced_probabilities: as if all diagnoses were equally common. Both sum to 1, in
    the order of Diagnosis. p_malignant: the sum of the calibrated probabilities of MALIGNANT.
    in_distribution: 0..1, how much the image looks like a dermatoscopic image. image_logits,
    context_terms: natural logits; for each diagnosis the image logit plus the terms of age, sex and
    localization is the logit of the balanced reading, exactly. features: float32 [1280] for
    comparing images; None if a version gives none. evidence: rows x columns x diagnoses, a grid
    over the image from its top left corner, with cells of EVIDENCE_CELL pixels of the reduced
    image; the sum over the grid for a diagnosis plus its bias is its image logit, exactly. bias:
    logits, by diagnosis. mask: bool [h, w], the pixels of the image as read that belong to the
    lesion, at its reduced size (ml.inference.views.reduce). With more than one lesion, that of the
    most severe one, read alone, which decides the outcome. All numbers refer to it. duration_ms:
    the reading alone, without opening the file.
    """

    outcome: Outcome
    reason: str
    remarks: tuple[str, ...]
    probabilities: dict[str, float]
    balanced_probabilities: dict[str, float]
    p_malignant: float
    in_distribution: float
    context_terms: dict[str, dict[str, float]]
    image_logits: dict[str, float]
    features: npt.NDArray[np.float32] | None
    evidence: npt.NDArray[np.float64]
    bias: dict[str, float]
    mask: npt.NDArray[np.bool_]
    thresholds_version: str
    duration_ms: int


def _known(value: object) -> str | None:
    text = "" if value is None else str(value).strip().lower()
    return None if text in ("", "unknown", "nan", "none") else text


def _age(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"age must be a number of years, not {text!r}") from None


def _word(text: str | None, known: tuple[str, ...], field: str) -> str | None:
    if text is not None and text not in known:
        raise ValueError(f"{field} must be one of {', '.join(known)} or unknown, not {text!r}")
    return text
