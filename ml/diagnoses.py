"""The diagnoses and their properties: names, malignancy, terms and codes of ISIC, SNOMED CT and
ICD.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Foreign:
    """A code of another system for one of our diagnoses, from a published source only.

    equivalence: FHIR R4's term for the foreign code, seen from ours. comment: required if that is
    ``narrower`` or ``inexact``.
    """

    code: str
    meaning: str
    equivalence: str
    comment: str = ""


_ONE_OF = "The class also holds other diagnoses."
_OVERLAP = "Neither holds the whole of the other."


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The properties of a diagnosis.

    title: its medical name. label: the name in lists of choices. gloss: in plain words. holds: what
    the class contains in the training data. malignant: or premalignant. isic: the narrowest path of
    ISIC's hierarchy that covers all of the class; "" for none. isic_paths: everything below one of
    them belongs to the class. snomed, icd_10_cm: see ``Foreign``.
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

    This is the only list of them. Adding one here requires a migration and a network trained with
    it.
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
            # It has no SNOMED CT code here: the available sources disagree.
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
