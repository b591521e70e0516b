"""ISIC's terms for ours, in both directions. The tests check these tables against the package
isic-metadata, which holds its dictionary.

Body sites and diagnoses are paths in ISIC's hierarchies, with levels joined by colons.
"""

from __future__ import annotations

from collections.abc import Sequence

from ml.diagnoses import Diagnosis
from screening.models import BodySite, Conclusion, Modality

# Ours -> (anatom_site, anatom_site_general, anatom_site_special). HAM10000's "acral" is palms,
# soles and nails, for which the hierarchy has no single term; "trunk" is any side of it.
SITES: dict[str, tuple[str, str, str]] = {
    BodySite.ABDOMEN: ("Trunk:Anterior trunk:Anterior abdomen", "anterior torso", ""),
    BodySite.ACRAL: ("", "palms/soles", "acral NOS"),
    BodySite.BACK: ("Trunk:Posterior trunk", "posterior torso", ""),
    BodySite.CHEST: ("Trunk:Anterior trunk:Anterior chest", "anterior torso", ""),
    BodySite.EAR: ("Head and neck:Head:Ear", "head/neck", ""),
    BodySite.FACE: ("Head and neck:Head:Face", "head/neck", ""),
    BodySite.FOOT: ("Lower extremity:Foot", "lower extremity", ""),
    BodySite.GENITAL: ("Anogenital region:Genital region", "oral/genital", ""),
    BodySite.HAND: ("Upper extremity:Hand", "upper extremity", ""),
    BodySite.LOWER_EXTREMITY: ("Lower extremity", "lower extremity", ""),
    BodySite.NECK: ("Head and neck:Neck", "head/neck", ""),
    BodySite.SCALP: ("Head and neck:Head:Scalp", "head/neck", ""),
    BodySite.TRUNK: ("Trunk", "", ""),
    BodySite.UPPER_EXTREMITY: ("Upper extremity", "upper extremity", ""),
}

# A path -> ours; the longest prefix of a site wins. The head as a whole has no term of ours.
_SITE_OF_PATH: dict[str, str] = {
    **{path: site for site, (path, _, _) in SITES.items() if path},
    "Anogenital region": BodySite.GENITAL,
    "Head and neck": "",
    "Lower extremity:Foot:Sole of foot": BodySite.ACRAL,
    "Upper extremity:Hand:Palm of hand": BodySite.ACRAL,
}

# ISIC's older terms, wider than ours: a side of the torso is just the trunk, except the back.
_SITE_OF_GENERAL: dict[str, str] = {
    "head/neck": "",
    "upper extremity": BodySite.UPPER_EXTREMITY,
    "lower extremity": BodySite.LOWER_EXTREMITY,
    "anterior torso": BodySite.TRUNK,
    "posterior torso": BodySite.BACK,
    "palms/soles": BodySite.ACRAL,
    "lateral torso": BodySite.TRUNK,
    "oral/genital": "",
}
# From the 2020 challenge, which gives no sides, and MILK10k's.
_OF_COLLECTIONS: dict[str, str] = {
    "torso": BodySite.TRUNK,
    "trunk": BodySite.TRUNK,
    "head_neck_face": "",
    "lower_extremity": BodySite.LOWER_EXTREMITY,
    "upper_extremity": BodySite.UPPER_EXTREMITY,
    "hand": BodySite.HAND,
    "foot": BodySite.FOOT,
    "genital": BodySite.GENITAL,
}
_SPECIAL = ("acral NOS", "nail NOS", "fingernail", "toenail", "acral palms or soles")

# Ours -> the narrowest ISIC term that covers all of it.
DIAGNOSES: dict[str, str] = {one: one.about.isic for one in Diagnosis}

# A path -> ours; the longest prefix of a diagnosis wins, anything else is another diagnosis.
_CLASS_OF_PATH: dict[str, str] = {path: one for one in Diagnosis for path in one.about.isic_paths}

IMAGE_TYPES: dict[str, str] = {
    "dermoscopic": Modality.DERMATOSCOPIC,
    "dermatoscopic": Modality.DERMATOSCOPIC,
    "clinical": Modality.CLINICAL,
    "clinical: close-up": Modality.CLINICAL,
    "clinical: overview": Modality.CLINICAL,
    "tbp tile: close-up": Modality.CLINICAL,
    "tbp tile: overview": Modality.CLINICAL,
}
IMAGE_TYPE_OF = {Modality.DERMATOSCOPIC: "dermoscopic", Modality.CLINICAL: "clinical: close-up"}

HISTOPATHOLOGY = "histopathology"
BY_ONE = "single contributor clinical assessment"
CONFIRMED_BY: dict[str, str] = {
    "histo": HISTOPATHOLOGY,
    "follow_up": "serial imaging showing no change",
    "consensus": "single image expert consensus",
    "confocal": "confocal microscopy with consensus dermoscopy",
}


def site_of_path(path: str) -> str | None:
    """Our term for a path or its last level alone; "" if we have none, None if it is not a site."""
    levels = path.split(":")
    if len(levels) == 1 and levels[0] not in {known.split(":")[0] for known in _SITE_OF_PATH}:
        longer = [known for known in _SITE_OF_PATH if known.split(":")[-1] == levels[0]]
        levels = longer[0].split(":") if longer else levels
    return _longest(levels, _SITE_OF_PATH)


def site_of_general(general: str, special: str) -> str | None:
    """Our term for one of the older terms; "" if we have none, None if it is not a site."""
    if special in _SPECIAL:
        return BodySite.ACRAL
    return (_SITE_OF_GENERAL | _OF_COLLECTIONS).get(general.lower())


def diagnosis_of_path(path: str) -> str:
    """Our term for a path or its last level alone, in any case, if we have one."""
    if ":" not in path:
        last = path.lower()
        known = [one for one in _CLASS_OF_PATH if one.split(":")[-1].lower() == last]
        known += Diagnosis.MEL.about.isic_paths if last.startswith("melanoma") else ()
        path = known[0] if known else path
    return _longest(path.split(":"), _CLASS_OF_PATH) or Conclusion.OTHER


def _longest(levels: Sequence[str], words: dict[str, str]) -> str | None:
    for count in range(len(levels), 0, -1):
        found = words.get(":".join(levels[:count]))
        if found is not None:
            return found
    return None
