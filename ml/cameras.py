"""What a network gives on each source's cameras, measured alike: what it ranks and what it tells.

Being turned away counts as a missed cancer: nobody has told that person to see a doctor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ml import calibrate, figures
from ml.data import Examples, Part
from ml.figures import Answers, Measures
from ml.judge import Calibration, Read, counts, read_all
from ml.litert import Network
from ml.sources import Sources
from ml.types import Diagnosis, Outcome, PatientContext

LEAST = 5
"""Images of a diagnosis from which on it counts in a source's means."""
LEAST_OF_A_TONE = 20
SQUAMOUS = "SCCKA"
"""MILK10k's word for squamous cell carcinoma and keratoacanthoma."""
Bools = npt.NDArray[np.bool_]


def told(calibration: Calibration, examples: Examples, read: Read) -> Answers:
    """The readings beside the truth, with `not_assessable` where an image is turned away."""
    answers = calibration.answers(read.logits, examples)
    outcomes = np.where(refused(calibration, read), Outcome.NOT_ASSESSABLE, answers.outcomes)
    return Answers(
        answers.labels, answers.balanced, answers.calibrated, outcomes.astype(str), answers.lesions
    )


def refused(calibration: Calibration, read: Read) -> Bools:
    """[n]: turned away, by the gate or for quality."""
    away: Bools = (read.in_distribution < calibration.gate) | (read.complaints != "")
    return away


def measures(answers: Answers, diagnoses: npt.NDArray[np.int64]) -> Measures:
    """What is ranked, the means being over these diagnoses, and what is told."""
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
    """Shares of cancers told to see a doctor, of harmless lesions told to wait, of images refused.

    answers: as `told` makes them.
    """
    cancer, melanoma = answers.cancer, answers.labels == calibrate.MEL
    heard = np.isin(answers.outcomes, (Outcome.SEE_DOCTOR, Outcome.URGENT))
    away = answers.outcomes == Outcome.NOT_ASSESSABLE
    return {
        "cancers_told": figures.share(heard[cancer]),
        "melanomas_told": figures.share(heard[melanoma]),
        "harmless_told_monitor": figures.share(answers.outcomes[~cancer] == Outcome.MONITOR),
        "refused": figures.share(away),
        "cancers_refused": figures.share(away[cancer]),
    }


def source_figures(calibration: Calibration, examples: Examples, read: Read) -> dict[str, Any]:
    """One source's part: figures with intervals, and how well its probabilities are calibrated."""
    answers = told(calibration, examples, read)
    found = np.bincount(examples.labels, minlength=len(Diagnosis))
    diagnoses = np.flatnonzero(found >= LEAST)
    return {
        "images": len(examples),
        "images_per_class": counts(examples.labels),
        "means_over": [str(list(Diagnosis)[number]) for number in diagnoses],
        "with_95_percent_intervals": figures.with_intervals(
            answers, lambda some: measures(some, diagnoses)
        ),
        "reliability_of_p_malignant": figures.reliability(answers),
    }


def tone_figures(
    calibration: Calibration, examples: Examples, read: Read
) -> dict[str, dict[str, Any]]:
    """By skin tone as the data's authors saw it, 0 (darkest) to 5: counts, and shares with
    intervals where at least LEAST_OF_A_TONE images stand behind them, else "too few"."""
    answers = told(calibration, examples, read)
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


def unknown_figures(calibration: Calibration, examples: Examples, read: Read) -> dict[str, Any]:
    """What is told of lesions that are none of the seven, by the source's word for them."""
    outcomes = figures.outcomes(calibration.probabilities(read.logits), calibration.thresholds)
    outcomes = np.where(refused(calibration, read), Outcome.NOT_ASSESSABLE, outcomes)
    surest = calibration.probabilities(read.logits).max(axis=1)
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
    calibration: Calibration, network: Network, sources: Sources, test: tuple[Examples, Read]
) -> dict[str, Any]:
    """What MILK10k alone can tell: of squamous cell carcinomas, skin tones, clinical close-ups, and
    lesions that are none of the seven."""
    examples, read = test
    squamous = examples.kinds == SQUAMOUS
    found: dict[str, Any] = {
        "squamous_cell_carcinomas": int(squamous.sum()),
        "squamous_cell_carcinomas_refused": figures.share(refused(calibration, read)[squamous]),
        "skin_tone": tone_figures(calibration, examples, read),
    }
    unknown = sources.unknown
    if unknown:
        seen = read_all(network, unknown.pixels, unknown.known)
        found["none_of_the_seven"] = unknown_figures(calibration, unknown, seen)
    closeups = sources.closeups.part(Part.TEST) if sources.closeups else None
    if closeups:
        seen = read_all(network, closeups.pixels, (PatientContext(),) * len(closeups))
        found["closeups"] = len(closeups)
        found["closeups_refused"] = figures.share(refused(calibration, seen))
    return found


def _mean(values: list[float]) -> float:
    kept = [value for value in values if not np.isnan(value)]
    return float(np.mean(kept)) if kept else float("nan")
