"""From logits to probabilities and thresholds, fitted on the tune part alone. numpy only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ml.types import MALIGNANT, Diagnosis

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

MEL = list(Diagnosis).index(Diagnosis.MEL)
MALIGNANT_COLUMNS = [number for number, one in enumerate(Diagnosis) if one in MALIGNANT]


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def calibrated(logits: Floats, prior: Floats, temperature: float) -> Floats:
    """softmax((logits + log prior) / temperature): the balanced reading for a clinic's mix.

    logits [..., 7]: the balanced ones; prior [7]: the classes' shares, summing to 1.
    """
    return softmax((logits + np.log(prior)) / temperature)


def fit_temperature(sets: Iterable[tuple[Floats, Labels, Floats]]) -> float:
    """The temperature of least negative log-likelihood (Guo et al. 2017), from 0.3 to 3.

    sets: logits [n, 7], labels [n] and prior [7] of each source; each counts the same.
    """
    listed = list(sets)

    def cost(temperature: float) -> float:
        costs = []
        for logits, labels, prior in listed:
            chosen = calibrated(logits, prior, temperature)[np.arange(len(labels)), labels]
            costs.append(float(-np.log(np.maximum(chosen, 1e-12)).mean()))
        return float(np.mean(costs))

    grid = np.geomspace(0.3, 3.0, 231)
    return float(grid[int(np.argmin([cost(float(temperature)) for temperature in grid]))])


def at_sensitivity(scores: Floats, positive: npt.NDArray[np.bool_], sensitivity: float) -> float:
    """The highest threshold that at least this share of the positives reach."""
    ranked = np.sort(scores[positive])
    return float(ranked[int(np.floor((1 - sensitivity) * len(ranked)))])


def at_precision(
    scores: Floats, positive: npt.NDArray[np.bool_], precision: float, least: int = 20
) -> float:
    """The lowest threshold from which at least this share of those reaching it is positive.

    Among thresholds that `least` images reach, so that a handful decides nothing. Raises
    ValueError if there is none.
    """
    order = np.argsort(-scores)
    shares = np.cumsum(positive[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(shares >= precision)
    if not len(good) or good[-1] + 1 < least:
        raise ValueError(f"no threshold reaches a precision of {precision}")
    return float(scores[order][good[-1]])


def thresholds(probabilities: Floats, labels: Labels, rules: dict[str, float]) -> dict[str, float]:
    """The outcome thresholds by the rules.

    rules: `sensitivity` and `melanoma_sensitivity` for see_doctor, `precision` and
    `melanoma_precision` for urgent. Either of an outcome's two thresholds is enough for it: that
    for melanoma is set last, for the melanomas that the one for any cancer leaves out.

    probabilities [n, 7]: calibrated. By malignancy (against any malignant diagnosis), and by
    melanoma alone (against melanoma).
    """
    malignant, melanoma = np.isin(labels, MALIGNANT_COLUMNS), labels == MEL
    p_malignant, p_mel = probabilities[:, MALIGNANT_COLUMNS].sum(axis=1), probabilities[:, MEL]
    see_doctor = at_sensitivity(p_malignant, malignant, rules["sensitivity"])
    either = np.where(p_malignant >= see_doctor, see_doctor, p_mel)
    see_doctor_mel = at_sensitivity(either, melanoma, rules["melanoma_sensitivity"])
    return {
        "urgent": at_precision(p_malignant, malignant, rules["precision"]),
        "urgent_mel": at_precision(p_mel, melanoma, rules["melanoma_precision"]),
        "see_doctor": see_doctor,
        "see_doctor_mel": see_doctor_mel,
    }
