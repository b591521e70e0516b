"""Results of a network on each source's cameras, measured alike: its ranking and its outcomes.

A rejected image of a cancer counts as missed: nobody has told that person to see a doctor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ml import calibrate, figures
from ml.diagnoses import Diagnosis
from ml.evaluation.judge import Read, counts, faults, read_all
from ml.figures import Answers, Measures
from ml.inference.litert import Network
from ml.inference.look import Rules
from ml.outcome import DANGEROUS
from ml.training.data import Examples, Part
from ml.training.sources import Sources
from ml.types import Outcome, PatientContext

LEAST = 5
"""A diagnosis counts in a source's means from this number of images."""
LEAST_OF_A_TONE = 20
SQUAMOUS = "SCCKA"
"""MILK10k's term for squamous cell carcinoma and keratoacanthoma."""
Bools = npt.NDArray[np.bool_]


def measures(answers: Answers, diagnoses: npt.NDArray[np.int64]) -> Measures:
    """Measures of the ranking, averaged over these diagnoses, and of the outcomes."""
    p_malignant = answers.calibrated[:, calibrate.MALIGNANT_COLUMNS].sum(axis=1)
    chosen, cancer = answers.balanced.argmax(axis=1), answers.cancer
    recalls = [figures.share(chosen[answers.labels == dx] == dx) for dx in diagnoses]
    areas = [figures.auc(answers.balanced[:, dx], answers.labels == dx) for dx in diagnoses]
    values = {
        "balanced_accuracy": _mean(recalls),
        "macro_auc": _mean(areas),
        "auc_malignant": figures.auc(p_malignant, cancer),
        **tellings(answers),
        "expected_calibration_error": figures.expected_calibration_error(
            answers.calibrated, answers.labels
        ),
    }
    for dx in (Diagnosis.MEL, Diagnosis.BKL):
        column = list(Diagnosis).index(dx)
        if column in diagnoses:
            values[f"auc_{dx}"] = figures.auc(
                answers.calibrated[:, column], answers.labels == column
            )
    return values


def tellings(answers: Answers) -> Measures:
    """Shares of cancers told to see a doctor, of harmless lesions told to wait, and of rejected
    images, together with `ml.figures.outcome_measures`.
    """
    cancer, melanoma = answers.cancer, answers.labels == calibrate.MEL
    heard = np.isin(answers.outcomes, DANGEROUS)
    away = answers.outcomes == Outcome.NOT_ASSESSABLE
    return {
        "cancers_told": figures.share(heard[cancer]),
        "melanomas_told": figures.share(heard[melanoma]),
        "harmless_told_monitor": figures.share(answers.outcomes[~cancer] == Outcome.MONITOR),
        "refused": figures.share(away),
        "cancers_refused": figures.share(away[cancer]),
        **figures.outcome_measures(answers),
    }


def source_figures(rules: Rules, examples: Examples, read: Read) -> dict[str, Any]:
    """One source's part: figures with intervals, and the calibration of its probabilities."""
    answers = read.answers(rules, examples)
    found = np.bincount(examples.labels, minlength=len(Diagnosis))
    diagnoses = np.flatnonzero(found >= LEAST)
    return {
        "images": len(examples),
        "images_per_class": counts(examples.labels),
        "means_over": [str(list(Diagnosis)[number]) for number in diagnoses],
        "with_95_percent_intervals": figures.with_intervals(
            answers, lambda some: measures(some, diagnoses)
        ),
        "context_unknown": measures(read.without_context().answers(rules, examples), diagnoses),
        "faults": faults(rules, read),
        "reliability_of_p_malignant": figures.reliability(answers),
    }


def tone_figures(rules: Rules, examples: Examples, read: Read) -> dict[str, dict[str, Any]]:
    """By skin tone as the data's authors labelled it, 0 (darkest) to 5: counts, and shares with
    intervals if based on at least LEAST_OF_A_TONE images, else "too few".
    """
    answers = read.answers(rules, examples)
    found: dict[str, dict[str, Any]] = {}
    for tone in range(6):
        own = answers.take(examples.tones == tone)
        cancers = int(own.cancer.sum())
        found[str(tone)] = {"cancers": cancers, "benign": len(own.labels) - cancers}
        named = {"cancers_told": cancers, "harmless_told_monitor": len(own.labels) - cancers}
        for name, images in named.items():
            found[str(tone)][name] = _rate(own, name) if images >= LEAST_OF_A_TONE else "too few"
    return found


def _rate(answers: Answers, name: str) -> dict[str, float]:
    rates = figures.with_intervals(answers, lambda some: {name: tellings(some)[name]})
    return rates[name]


def unknown_figures(rules: Rules, examples: Examples, read: Read) -> dict[str, Any]:
    """Outcomes of lesions with other diagnoses, by the source's name for the diagnosis."""
    outcomes = read.outcomes(rules)
    surest = calibrate.calibrated(read.logits, rules.prior, rules.temperature).max(axis=1)
    return {
        str(kind): {
            "images": int((examples.kinds == kind).sum()),
            "told": {
                outcome.value: int((outcomes[examples.kinds == kind] == outcome).sum())
                for outcome in Outcome
            },
            "mean_of_the_largest_probability": float(surest[examples.kinds == kind].mean()),
        }
        for kind in np.unique(examples.kinds)
    }


def milk10k_figures(
    rules: Rules, network: Network, sources: Sources, test: tuple[Examples, Read]
) -> dict[str, Any]:
    """Figures that only MILK10k provides: squamous cell carcinomas, skin tones, clinical close-ups,
    and lesions with other diagnoses.
    """
    examples, read = test
    squamous = examples.kinds == SQUAMOUS
    found: dict[str, Any] = {
        "squamous_cell_carcinomas": int(squamous.sum()),
        "squamous_cell_carcinomas_refused": figures.share(read.refused(rules)[squamous]),
        "skin_tone": tone_figures(rules, examples, read),
    }
    unknown = sources.unknown
    if unknown:
        seen = read_all(network, unknown.pixels, unknown.known)
        found["none_of_the_seven"] = unknown_figures(rules, unknown, seen)
    closeups = sources.closeups.part(Part.TEST) if sources.closeups else None
    if closeups:
        seen = read_all(network, closeups.pixels, (PatientContext(),) * len(closeups))
        found["closeups"] = len(closeups)
        found["closeups_refused"] = figures.share(seen.refused(rules))
    return found


def _mean(values: list[float]) -> float:
    kept = [value for value in values if not np.isnan(value)]
    return float(np.mean(kept)) if kept else float("nan")
