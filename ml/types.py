"""The words of the reader: diagnoses, outcomes, what is known of the patient, and a reading."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Foreign:
    """A code of another system for one of our diagnoses. Only what a published source has.

    equivalence: FHIR R4's word for what the foreign code is, seen from ours. comment: required
    where that is ``narrower`` or ``inexact``.
    """

    code: str
    meaning: str
    equivalence: str
    comment: str = ""


_ONE_OF = "The class also holds other diagnoses."
_OVERLAP = "Neither holds the whole of the other."


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What there is to say of a diagnosis.

    title: its medical name. label: the same for those who choose among them. gloss: in plain
    words. holds: what the class holds in the training data. malignant: or premalignant.
    isic: the narrowest path of ISIC's hierarchy that is true of all of the class; "" for none.
    isic_paths: whatever lies below one of them is of the class.
    snomed, icd_10_cm: see ``Foreign``.
    """

    title: str
    label: str
    gloss: str
    holds: str
    malignant: bool
    isic: str
    isic_paths: tuple[str, ...]
    snomed: tuple[Foreign, ...] = ()
    icd_10_cm: tuple[Foreign, ...] = ()


class Diagnosis(StrEnum):
    """HAM10000's classes. Their order is the order of every probability vector; shapes in
    docstrings call their number k.

    This is the only list of them. One more is added here; a migration and a network that was
    trained with it follow.
    """

    _value_: str
    about: About

    def __new__(cls, code: str, *about: About) -> Diagnosis:
        one = str.__new__(cls, code)
        one._value_ = code
        (one.about,) = about
        return one

    AKIEC = (
        "akiec",
        About(
            title="Actinic keratosis / Bowen's disease",
            label="Actinic keratosis / Bowen's disease",
            gloss="a precursor of skin cancer",
            holds="actinic keratosis, Bowen's disease or squamous cell carcinoma",
            malignant=True,
            isic="",  # actinic keratosis and Bowen's disease have no path in common
            isic_paths=(
                "Indeterminate:Indeterminate epidermal proliferations:Solar or actinic keratosis",
                "Malignant:Malignant epidermal proliferations:Squamous cell carcinoma in situ",
            ),
            snomed=(Foreign("201101007", "Actinic keratosis", "narrower", _ONE_OF),),
            icd_10_cm=(
                Foreign("L57.0", "Actinic keratosis", "narrower", _ONE_OF),
                Foreign("D04.9", "Carcinoma in situ of skin, unspecified", "inexact", _OVERLAP),
            ),
        ),
    )
    BCC = (
        "bcc",
        About(
            title="Basal cell carcinoma",
            label="Basal cell carcinoma",
            gloss="a slowly growing skin cancer",
            holds="basal cell carcinoma",
            malignant=True,
            isic="Malignant:Malignant adnexal epithelial proliferations - Follicular:"
            "Basal cell carcinoma",
            isic_paths=(
                "Malignant:Malignant adnexal epithelial proliferations - Follicular:"
                "Basal cell carcinoma",
            ),
            snomed=(Foreign("254701007", "Basal cell carcinoma of skin", "equivalent"),),
            icd_10_cm=(
                Foreign("C44.91", "Basal cell carcinoma of skin, unspecified", "equivalent"),
            ),
        ),
    )
    BKL = (
        "bkl",
        About(
            title="Benign keratosis",
            label="Benign keratosis",
            gloss="such as an age spot or a seborrhoeic wart",
            holds="benign keratosis",
            malignant=False,
            isic="Benign:Benign epidermal proliferations",
            isic_paths=tuple(
                f"Benign:Benign epidermal proliferations:{name}"
                for name in (
                    "Lichen planus like keratosis",
                    "Pigmented benign keratosis",
                    "Seborrheic keratosis",
                    "Solar lentigo",
                )
            ),
            snomed=(Foreign("72100002", "Solar lentigo", "narrower", _ONE_OF),),
            icd_10_cm=(
                Foreign("L82.1", "Other seborrheic keratosis", "narrower", _ONE_OF),
                Foreign("L81.4", "Other melanin hyperpigmentation", "inexact", _OVERLAP),
                Foreign("L43.8", "Other lichen planus", "inexact", _OVERLAP),
            ),
        ),
    )
    DF = (
        "df",
        About(
            title="Dermatofibroma",
            label="Dermatofibroma",
            gloss="a firm knot in the skin",
            holds="dermatofibroma",
            malignant=False,
            isic="Benign:Benign soft tissue proliferations - Fibro-histiocytic:Dermatofibroma",
            isic_paths=(
                "Benign:Benign soft tissue proliferations - Fibro-histiocytic:Dermatofibroma",
            ),
            # Its code in SNOMED CT is open: the sources at hand disagree.
            icd_10_cm=(Foreign("D23.9", "Other benign neoplasm of skin, unspecified", "wider"),),
        ),
    )
    MEL = (
        "mel",
        About(
            title="Melanoma",
            label="Melanoma",
            gloss="a dangerous skin cancer",
            holds="melanoma",
            malignant=True,
            isic="Malignant:Malignant melanocytic proliferations (Melanoma):Melanoma, NOS",
            isic_paths=("Malignant:Malignant melanocytic proliferations (Melanoma)",),
            # As for dermatofibroma.
            icd_10_cm=(
                Foreign("C43.9", "Malignant melanoma of skin, unspecified", "narrower", _ONE_OF),
            ),
        ),
    )
    NV = (
        "nv",
        About(
            title="Melanocytic nevus",
            label="Melanocytic nevus (mole)",
            gloss="a mole",
            holds="melanocytic nevus",
            malignant=False,
            isic="Benign:Benign melanocytic proliferations:Nevus",
            isic_paths=("Benign:Benign melanocytic proliferations:Nevus",),
            snomed=(Foreign("400096001", "Melanocytic nevus", "equivalent"),),
            icd_10_cm=(Foreign("D22.9", "Melanocytic nevi, unspecified", "equivalent"),),
        ),
    )
    VASC = (
        "vasc",
        About(
            title="Vascular lesion",
            label="Vascular lesion",
            gloss="of small blood vessels",
            holds="vascular lesion",
            malignant=False,
            isic="Benign:Benign soft tissue proliferations - Vascular",
            isic_paths=("Benign:Benign soft tissue proliferations - Vascular",),
            snomed=(Foreign("400210000", "Hemangioma", "narrower", _ONE_OF),),
            icd_10_cm=(
                Foreign(
                    "D18.01", "Hemangioma of skin and subcutaneous tissue", "narrower", _ONE_OF
                ),
                Foreign("L98.0", "Pyogenic granuloma", "narrower", _ONE_OF),
            ),
        ),
    )


MALIGNANT = frozenset(one for one in Diagnosis if one.about.malignant)


class Outcome(StrEnum):
    """What the person is told, most severe first."""

    URGENT = "urgent"
    SEE_DOCTOR = "see_doctor"
    MONITOR = "monitor"
    NOT_ASSESSABLE = "not_assessable"


class NotAssessable(StrEnum):
    """What is wrong with an image: why it gets no outcome or, beside an outcome, a remark."""

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
"""What keeps no image from being told `monitor`: it is only said."""

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
"""Of `ml.lesion.measure` and `ml.lesion.register`, whose results are kept: here, so that asking for
the version loads nothing."""


@dataclass(frozen=True, slots=True)
class PatientContext:
    """What is known of the patient and the site; None where it is not known.

    age: years. sex: one of SEXES. localization: one of LOCALIZATIONS.
    """

    age: float | None = None
    sex: str | None = None
    localization: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for an age that nobody has: it is never clamped into one."""
        if self.age is not None and not 0 <= self.age <= MAX_AGE:
            raise ValueError(f"age must lie between 0 and {MAX_AGE} years, not {self.age:g}")

    @classmethod
    def parse(cls, age: object, sex: object, localization: object) -> PatientContext:
        """Read the three fields as people and files write them.

        None, "", "unknown" and "nan" mean not known. Raises ValueError, with a message that can be
        shown, for an age that is no number of years and for a word that is not in the lists.
        """
        return cls(
            age=_age(_known(age)),
            sex=_word(_known(sex), SEXES, "sex"),
            localization=_word(_known(localization), LOCALIZATIONS, "localization"),
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """One model version's reading of one image. Numbers are there even if not assessable.

    reason: a NotAssessable code, "" for every other outcome.
    remarks: NotAssessable codes: what else is wrong with the image, told beside the outcome.
    probabilities: for a clinic's mix of cases (calibrated); balanced_probabilities: as if all
        diagnoses were equally common. Both sum to 1, in the order of Diagnosis.
    p_malignant: the sum of the calibrated probabilities of MALIGNANT.
    in_distribution: 0..1, how much the image looks like a dermatoscopic image.
    image_logits, context_terms: natural logits; for each diagnosis the image logit plus the terms
        of age, sex and localization is the logit of the balanced reading, exactly.
    features: float32 [1280] to tell how alike two images are; None where a version gives none.
    evidence: rows x columns x diagnoses, a grid over the image from its top left corner, of cells
        of EVIDENCE_CELL pixels of the reduced image; the sum over the grid of a diagnosis plus its
        bias is its image logit, exactly.
    bias: logits, by diagnosis.
    mask: bool [h, w], the pixels of the image as read that belong to the lesion, at its reduced
        size (ml.inference.views.reduce). Of more than one lesion that of which the outcome
        is: the one that says most, read alone. All numbers are of it.
    duration_ms: the reading alone, without opening the file.
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
