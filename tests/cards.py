"""Model cards for tests: the shipped one with all optional parts, or with none."""

from __future__ import annotations

import copy
from typing import Any

from ml import reader
from ml.diagnoses import Diagnosis

RATES = {
    "see_doctor/malignant_sensitivity": 0.95,
    "see_doctor/malignant_specificity": 0.75,
    "see_doctor/malignant_ppv": 0.51,
    "urgent/malignant_sensitivity": 0.7,
    "urgent/malignant_specificity": 0.92,
    "malignant_auc": 0.93,
    "specificity_at_95_sensitivity": 0.76,
    "balanced_accuracy_balanced": 0.78,
    "balanced_accuracy_calibrated": 0.7,
    "accuracy_balanced": 0.74,
    "accuracy_calibrated": 0.82,
    "melanoma_sensitivity_balanced": 0.68,
    "melanoma_sensitivity_calibrated": 0.55,
}


def complete() -> dict[str, Any]:
    """With all optional parts, and invented numbers in them."""
    card = copy.deepcopy(reader.card())
    figures = card["figures"]
    for name, value in RATES.items():
        figures["with_95_percent_intervals"][name] = rate(value)
    missed = {"value": 0.7, "low": 0.0, "high": 2.4}
    figures["with_95_percent_intervals"]["missed_per_100_cancers"] = missed
    curve = [[level / 40, min(1.0, (level / 40) ** 0.25)] for level in range(41)]
    figures["roc"] = {"malignant": curve} | {code.value: curve for code in Diagnosis}
    figures["mask"] = {
        "images": 640,
        "jaccard_mean": 0.86,
        "jaccard_median": 0.89,
        "below_0.65": 0.06,
    }
    figures["subgroups"] = {
        "sex": {"female": _group(30, 200, 0.9, 0.7), "male": _group(60, 210, 0.96, 0.8)},
        "age": {"0-39": {"cancers": 6, "benign": 40, "specificity": 1.0}},
        "localization": {"ear": {"cancers": 20, "benign": 5, "sensitivity": 0.5}},
        "skin_tone_ita": {
            "very light": _group(50, 300, 0.92, 0.7),
            "dark": {"cancers": 0, "benign": 2},
        },
    }
    card["isic2017"] = {
        "images": 173,
        "images_per_class": {"mel": 30, "bkl": 18, "nv": 125},
        "rejected": 0.02,
        "with_95_percent_intervals": {
            "auc_mel_calibrated": rate(0.87),
            "see_doctor/malignant_sensitivity": rate(0.9),
            "see_doctor/malignant_specificity": rate(0.6),
        },
    }
    card["reference"] = {
        "name": "the page that was there before",
        "source": "example.org/page",
        "judged_on": "its own 1,103 images",
        "accuracy": 0.807,
        "balanced_accuracy": 0.31,
        "melanoma_sensitivity": 0.22,
    }
    return card


def bare() -> dict[str, Any]:
    """Like an older card, or one measured only on HAM10000."""
    card = complete()
    for name in ("roc", "mask", "subgroups", "at_prevalence"):
        card["figures"].pop(name, None)
    for name in ("isic2017", "reference"):
        del card[name]
    return card


def rate(value: float) -> dict[str, float]:
    """A figure with an interval around it."""
    return {"value": value, "low": max(0.0, value - 0.05), "high": min(1.0, value + 0.04)}


def _group(cancers: int, benign: int, sensitivity: float, specificity: float) -> dict[str, float]:
    return {
        "cancers": cancers,
        "benign": benign,
        "sensitivity": sensitivity,
        "specificity": specificity,
    }
