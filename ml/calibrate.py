"""Probabilities and thresholds from logits, fitted on the tune part alone. numpy only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ml.diagnoses import MALIGNANT, Diagnosis

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

MEL = list(Diagnosis).index(Diagnosis.MEL)
MALIGNANT_COLUMNS = [number for number, one in enumerate(Diagnosis) if one in MALIGNANT]


def softmax(logits: Floats) -> Floats:
    """Along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def calibrated(logits: Floats, prior: Floats, temperature: float) -> Floats:
    """softmax((logits + log prior) / temperature): the balanced reading adjusted to a clinic's case
    mix.

    logits [..., k]: the balanced ones; prior [k]: the class shares, summing to 1.
    """
    return softmax((logits + np.log(prior)) / temperature)


def fit_temperature(sets: Iterable[tuple[Floats, Labels, Floats]]) -> float:
    """The temperature with the lowest negative log-likelihood (Guo et al. 2017), from 0.3 to 3.

    sets: logits [n, k], labels [n] and prior [k] of each source, with equal weight.
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
    """The highest threshold reached by at least this share of the positives."""
    ranked = np.sort(scores[positive])
    return float(ranked[int(np.floor((1 - sensitivity) * len(ranked)))])


def at_precision(
    scores: Floats, positive: npt.NDArray[np.bool_], precision: float, least: int = 20
) -> float:
    """The lowest threshold at which at least this share of the images reaching it are positive.

    Considers only thresholds reached by `least` images, so that a few images do not decide. Raises
    ValueError if there is none.
    """
    order = np.argsort(-scores)
    shares = np.cumsum(positive[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(shares >= precision)
    if not len(good) or good[-1] + 1 < least:
        raise ValueError(f"no threshold reaches a precision of {precision}")
    return float(scores[order][good[-1]])


def at_sensitivities(
    sets: Iterable[tuple[Floats, npt.NDArray[np.bool_]]], each: float, mean: float
) -> float:
    """The highest threshold reached by at least the share `each` of the positives of every set, and
    by at least the share `mean` of them in the mean over the sets.

    sets: scores [n] and which are positive [n] of each, with equal weight. Raises ValueError if
    there is none above 0, the score of rejected images.
    """
    found = [scores[positive] for scores, positive in sets]
    for threshold in np.unique(np.concatenate(found))[::-1]:
        shares = [np.mean(one >= threshold) for one in found]
        if threshold > 0 and min(shares) >= each and np.mean(shares) >= mean:
            return float(threshold)
    raise ValueError(
        f"no threshold keeps {each:.0%} of the cancers of each source and {mean:.0%} in the mean: "
        "too many are turned away"
    )
