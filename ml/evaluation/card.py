"""The model card: what pages, API and README state about a model version, in one JSON document."""

from __future__ import annotations

import datetime
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ml.context import AGE_KNOTS
from ml.diagnoses import MALIGNANT, Diagnosis
from ml.inference.views import SHORT_SIDE, VIEW_SIDE, VIEWS
from ml.training import data
from ml.training.data import FRAME, Examples, Part, Source, part_of
from ml.types import LOCALIZATIONS, SEXES

INTENDED_USE = (
    "Research and teaching: a second look at dermatoscopic images of single pigmented skin lesions "
    "of adults, beside the judgement of a doctor. It ranks the diagnoses below and says how soon "
    "a doctor should look. Research software, not a medical device: it cannot diagnose or rule out "
    "skin cancer."
)
OUT_OF_SCOPE = (
    "Deciding alone, or deciding that nobody needs to look.",
    "Photographs by phone or camera without a dermatoscope.",
    "Nails, mucosa, hairy scalp, ulcerated or raised lesions without a doctor's view, children.",
    "Diagnoses other than those below: Merkel cell carcinoma, lymphoma, inflammation, infections.",
    "Skin that has been treated, tattooed or marked with ink.",
)
LIMITATIONS = (
    "The training images show mostly light skin. Only MILK10k records skin tone, and few of its "
    "lesions are on dark skin: how well dark skin is read is hardly known.",
    "The cameras and clinics of three sources: on images of others expect less than on the test "
    "parts.",
    "Read at 150 pixels of the short side: fine structures are lost, and lesions that fill only "
    "a small part of the image are read poorly.",
    "Amelanotic, nodular and acral melanomas are rare in the data.",
    "Ink, rulers, hair, gel bubbles and coloured patches can shift the answer.",
    "A little over half of HAM10000's labels and 96 % of MILK10k's come from histology; the rest "
    "from follow-up, expert consensus or confocal microscopy.",
    "The test part holds few images of the rare diagnoses: look at the intervals.",
    "The split is by lesion. HAM10000 does not name patients, so two lesions of one patient can "
    "lie in different parts; ISIC 2017 names no lesions either and is split by image.",
    "The mix of cases is that of specialist clinics: among unselected people far fewer of the "
    "flagged lesions are cancer.",
)
ATTRIBUTION = (
    {
        "name": "HAM10000",
        "use": "training, tuning, test",
        "licence": "CC BY-NC 4.0",
        "commercial_use": False,
        "cite": "Tschandl, P., Rosendahl, C. & Kittler, H. The HAM10000 dataset, a large "
        "collection of multi-source dermatoscopic images of common pigmented skin lesions. "
        "Sci. Data 5, 180161 (2018). doi:10.1038/sdata.2018.161",
        "origin": "Medical University of Vienna, Austria, and a skin cancer practice in "
        "Queensland, Australia; collected over 20 years",
    },
    {
        "name": "ISIC 2017",
        "use": "training, tuning, test on other cameras",
        "licence": "CC0",
        "commercial_use": True,
        "cite": "Codella, N. et al. Skin lesion analysis toward melanoma detection: a challenge at "
        "ISBI 2017. arXiv:1710.05006",
        "origin": "several clinics of the ISIC archive",
    },
    {
        "name": "MILK10k",
        "use": "training, tuning, test on the cameras of five centres; close-ups for the gate",
        "licence": "CC BY-NC 4.0",
        "commercial_use": False,
        "cite": "MILK study team. MILK10k. ISIC Archive, 2025. doi:10.34970/648456",
        "origin": "five centres; 96 % of the diagnoses by histology",
    },
    {
        "name": "ImageNet",
        "use": "start of the backbone's weights; 800 images of other things for the gate",
        "licence": "weights: Apache 2.0 (Google)",
        "commercial_use": True,
        "cite": "Deng, J. et al. ImageNet: a large-scale hierarchical image database. CVPR 2009",
        "origin": "the web",
    },
)

AUGMENTATION = (
    "Any angle and pose, 0.65 to 1.05 of the short side, stretched by up to 8 %; gamma, white "
    "balance, hue, saturation, contrast and brightness; lower resolution, noise; dark round "
    "corners, plain coloured patches, and drawn hairs, ruler marks and gel bubbles; pale, dark and "
    "colourless views; every image more or less blurred or sharpened; the coarse Fourier "
    "amplitudes of another image mixed in."
)
OUTSIDE = (
    "For the gate: natural images, also in the colours of dermatoscopy; drawings; plain skin from "
    "the margins of dermatoscopic images; body parts from afar composed of such skin, small real "
    "lesions and natural backgrounds; MILK10k's clinical close-ups."
)

ORIGIN = {
    "name": "the page that SkinCheck grew out of",
    "source": "github.com/leona-ha/Skin-Screening_Web-App",
    "judged_on": "its own 1,103 validation images of HAM10000, none of which is in our data",
    "accuracy": 0.807,
    "balanced_accuracy": 0.31,
    "melanoma_sensitivity": 0.22,
}


def describe(
    *,
    weights_sha256: str,
    decided: dict[str, Any],
    measured: dict[str, Any],
    sets: dict[Source, Examples],
    recipe: dict[str, Any],
) -> dict[str, Any]:
    """The card of a run; `python -m ml export` adds the version.

    decided: from `ml.evaluation.fit_thresholds.decided`; measured: the network's other decisions.
    """
    return {
        "name": "SkinCheck reader",
        "version": "",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "developer": "SkinCheck project",
        "licence": "weights: CC BY-NC 4.0, as the training data; not for commercial use",
        "uses_machine_learning": True,
        "automation": "Advice only. A doctor's conclusion always stands above it.",
        "intended_use": INTENDED_USE,
        "out_of_scope": list(OUT_OF_SCOPE),
        "known_limitations": list(LIMITATIONS),
        "external_validation": "none by others",
        "monitoring": "none built in: compare readings with clinicians' conclusions and histology",
        "inputs": _inputs(),
        "outputs": _outputs(),
        "diagnoses": {
            diagnosis.value: {
                "name": diagnosis.about.holds,
                "malignant": diagnosis.about.malignant,
            }
            for diagnosis in Diagnosis
        },
        "architecture": _architecture(recipe),
        "preprocessing": _preprocessing(),
        "training": {
            "data": list(ATTRIBUTION),
            "recipe": recipe,
            "augmentation": AUGMENTATION + _blended(recipe),
            "outside_images": OUTSIDE,
            "software": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("tensorflow", "keras", "ai-edge-litert")},
            },
        },
        "split": split(sets),
        "data_summary": _summary(sets[Source.HAM10000]),
        **decided,
        **measured,
        "reference": ORIGIN,
        "weights_sha256": weights_sha256,
    }


def _inputs() -> dict[str, Any]:
    return {
        "image": "one dermatoscopic image of one lesion, 8 bit sRGB, the lesion near the middle",
        "age": "years, or unknown",
        "sex": [*SEXES, "unknown"],
        "localization": [*LOCALIZATIONS, "unknown"],
    }


def _outputs() -> dict[str, str]:
    return {
        "balanced_probabilities": "as if all diagnoses were equally common",
        "probabilities": "calibrated for the mix of cases in HAM10000: "
        "softmax((balanced logits + log prior) / temperature)",
        "p_malignant": "calibrated "
        + " + ".join(one.value for one in Diagnosis if one in MALIGNANT),
        "outcome": "urgent, see_doctor, monitor, or not_assessable with a reason",
        "in_distribution": "0..1, how much the image looks like dermatoscopy",
        "mask": "the pixels that belong to the lesion",
        "evidence": "what each place of the image says for each diagnosis, in logits",
        "image_logits, context_terms": "natural logits; their sum is the balanced reading's",
    }


def _blended(recipe: dict[str, Any]) -> str:
    if not recipe["mixed"]:
        return ""
    return (
        f" Into up to {100 * recipe['mixed']:g} % of the images another of their source is blended."
    )


def _architecture(recipe: dict[str, Any]) -> dict[str, Any]:
    start, teachers = recipe["start"], [Path(file).parent.name for file in recipe["teachers"]]
    origin = Path(start).parent.name if start.endswith(".keras") else "ImageNet"
    taught = (
        f"; {100 * recipe['taught']:g} % of each label is what earlier networks "
        f"({', '.join(teachers)}) make of the same view"
        if teachers
        else ""
    )
    return {
        "backbone": f"EfficientNet-Lite0, started from {origin}; {_trained(recipe)}",
        "head": "logits = bias + mean(features . W) + g(age) + g(sex) + g(localization)",
        "evidence": "features . W, laid on the image; with bias and context it gives the logits",
        "mask": "a light decoder on the same features, at half of a view's resolution",
        "age": f"piecewise linear, knots at {[int(knot) for knot in AGE_KNOTS]} years",
        "missing_context": "adds exactly zero",
        "gate": "one linear logit on mean(features), trained on dermatoscopy against other images",
        "loss": "logit-adjusted cross-entropy (tau 1), so that the bare logits are balanced"
        + taught,
    }


def _trained(recipe: dict[str, Any]) -> str:
    kept = recipe.get("kept", 0)
    return (
        f"all layers trained but the stem and the first {kept} blocks"
        if kept
        else ("all layers trained")
    ) + _mean_with(recipe)


def _mean_with(recipe: dict[str, Any]) -> str:
    other = recipe.get("mean_with")
    if not other:
        return ""
    return f"; its weights are the mean of the trained ones and those of {Path(other).parent.name}"


def _preprocessing() -> dict[str, Any]:
    return {
        "reduced": f"to a short side of {SHORT_SIDE} pixels (Lanczos)",
        "trained_on": f"frames of {FRAME[1]}x{FRAME[0]}",
        "views": f"{len(VIEWS)} squares of {VIEW_SIDE} pixels (bilinear), logits averaged: "
        + "; ".join(
            f"{view.share:g} of the short side at {view.shift:+d}, {90 * view.quarter_turns}°"
            + (", mirrored" if view.mirrored else "")
            for view in VIEWS
        ),
        "scaling": "0..255 to -1..1, inside the network",
    }


def split(sets: dict[Source, Examples]) -> dict[str, Any]:
    return {
        "rule": f"by lesion. HAM10000 and ISIC 2017 (by image id): sha256('{data.OLD_SEED}:' + id) "
        f"as a share of its range from {data.OLD_TRAIN_FROM} on is train, as it was for the "
        f"networks before; of the others half, by sha256('{data.SPLIT_SEED}:' + id), is tune and "
        f"half test. MILK10k: by the second hash, below {data.TUNE_SHARE} tune, below "
        f"{data.TUNE_SHARE + data.TEST_SHARE:g} test; a lesion that also stands in HAM10000 is "
        "where it is there, and is judged there alone. The seed of the second is the one of 60 "
        "that keeps the classes' shares best. No figure was looked at to choose it.",
        "use": "train: weights. tune: temperature, thresholds. test: figures.",
        "images": {source.name.lower(): _parts(one, False) for source, one in sets.items()},
        "lesions": {"ham10000": _parts(sets[Source.HAM10000], by_lesion=True)},
    }


def _parts(examples: Examples, by_lesion: bool) -> dict[str, int]:
    names = set(examples.lesions) if by_lesion else list(examples.lesions)
    parts = [part_of(str(name)) for name in names]
    return {part.value: parts.count(part) for part in Part}


def _summary(examples: Examples) -> dict[str, Any]:
    """HAM10000 as used here, for charts: counts, sexes, ages and sites by class."""
    summary: dict[str, Any] = {"images": len(examples), "lesions": len(set(examples.lesions))}
    for name in ("images_per_class", "sex_per_class", "median_age_per_class"):
        summary[name] = {}
    for number, diagnosis in enumerate(Diagnosis):
        known = [examples.known[row] for row in np.flatnonzero(examples.labels == number)]
        ages = [one.age for one in known if one.age is not None]
        summary["images_per_class"][diagnosis.value] = len(known)
        summary["sex_per_class"][diagnosis.value] = {
            sex or "unknown": sum(one.sex == sex for one in known) for sex in (*SEXES, None)
        }
        summary["median_age_per_class"][diagnosis.value] = float(np.median(ages)) if ages else None
    summary["images_per_localization"] = {
        site or "unknown": sum(one.localization == site for one in examples.known)
        for site in (*LOCALIZATIONS, None)
    }
    return summary


def plain(value: Any) -> Any:
    """The same for JSON: rounded to six digits, and null for what cannot be measured."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return None if np.isnan(value) else float(f"{value:.6g}")
    return value
