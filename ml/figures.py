"""Performance measures of a set of readings, with bootstrap intervals by lesion. numpy only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.calibrate import MALIGNANT_COLUMNS, MEL, Floats, Labels, at_sensitivity
from ml.diagnoses import Diagnosis
from ml.outcome import DANGEROUS
from ml.types import Outcome

REPLICATES = 1000
ECE_BINS = 15
PREVALENCES = (0.01, 0.05, 0.2)
Bools = npt.NDArray[np.bool_]
Measures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Answers:
    """Readings with the true diagnoses. labels [n]; balanced, calibrated [n, k]; outcomes, lesions
    [n].
    """

    labels: Labels
    balanced: Floats
    calibrated: Floats
    outcomes: npt.NDArray[np.str_]
    lesions: npt.NDArray[np.str_]

    def take(self, rows: npt.NDArray[np.int64] | Bools) -> Answers:
        """These rows, possibly with repetition."""
        return Answers(
            self.labels[rows],
            self.balanced[rows],
            self.calibrated[rows],
            self.outcomes[rows],
            self.lesions[rows],
        )

    @property
    def cancer(self) -> Bools:
        """Which are malignant or premalignant."""
        return np.isin(self.labels, MALIGNANT_COLUMNS)


def auc(scores: Floats, positive: Bools) -> float:
    """Area under the ROC curve: the share of pairs in the right order (ties count half)."""
    if positive.all() or not positive.any():
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    count = int(positive.sum())
    pairs = count * (len(scores) - count)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / pairs)


def share(part: Bools) -> float:
    """The mean of a boolean array; nan if it is empty."""
    return float(part.mean()) if len(part) else float("nan")


def expected_calibration_error(probabilities: Floats, labels: Labels) -> float:
    """Of the top class, in ECE_BINS equal bins (Naeini et al. 2015)."""
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((top * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = [
        abs(top[bins == number].mean() - right[bins == number].mean()) * np.mean(bins == number)
        for number in np.unique(bins)
    ]
    return float(sum(gaps))


def class_measures(answers: Answers) -> Measures:
    """Keys `classes/<dx>/<measure>`: of the balanced reading, one class against the rest."""
    measures: Measures = {}
    chosen = answers.balanced.argmax(axis=1)
    for number, diagnosis in enumerate(Diagnosis):
        own = answers.labels == number
        measures[f"classes/{diagnosis}/sensitivity"] = share(chosen[own] == number)
        measures[f"classes/{diagnosis}/specificity"] = share(chosen[~own] != number)
        measures[f"classes/{diagnosis}/auc"] = auc(answers.balanced[:, number], own)
        measures[f"classes/{diagnosis}/auc_calibrated"] = auc(answers.calibrated[:, number], own)
    return measures


def outcome_measures(answers: Answers) -> Measures:
    """Measures of the outcomes; per 100 cases of the kind named.

    A rejected image of a cancer counts as missed: nobody has told that person to see a doctor.
    """
    cancer, melanoma = answers.cancer, answers.labels == MEL
    flagged, urgent = np.isin(answers.outcomes, DANGEROUS), answers.outcomes == Outcome.URGENT
    return {
        "see_doctor/malignant_sensitivity": share(flagged[cancer]),
        "see_doctor/malignant_specificity": share(~flagged[~cancer]),
        "see_doctor/malignant_ppv": share(cancer[flagged]),
        "see_doctor/melanoma_sensitivity": share(flagged[melanoma]),
        "urgent/malignant_sensitivity": share(urgent[cancer]),
        "urgent/malignant_specificity": share(~urgent[~cancer]),
        "urgent/malignant_ppv": share(cancer[urgent]),
        "urgent/melanoma_sensitivity": share(urgent[melanoma]),
        "missed_per_100_cancers": 100 * share(~flagged[cancer]),
        "missed_per_100_melanomas": 100 * share(~flagged[melanoma]),
        "flagged_that_were_cancer_per_100": 100 * share(cancer[flagged]),
        "urgent_that_were_cancer_per_100": 100 * share(cancer[urgent]),
    }


def measure(answers: Answers) -> Measures:
    """All figures of a set with all classes; nan if a class is absent."""
    classes = class_measures(answers)

    def macro(name: str) -> float:
        values = [classes[f"classes/{diagnosis}/{name}"] for diagnosis in Diagnosis]
        return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")

    calibrated = answers.calibrated.argmax(axis=1)
    recalls = [
        share(calibrated[answers.labels == label] == label) for label in np.unique(answers.labels)
    ]
    return {
        "accuracy_balanced": share(answers.balanced.argmax(axis=1) == answers.labels),
        "accuracy_calibrated": share(calibrated == answers.labels),
        "balanced_accuracy_balanced": macro("sensitivity"),
        "balanced_accuracy_calibrated": float(np.mean(recalls)),
        "macro_auc_balanced": macro("auc"),
        "macro_auc_calibrated": macro("auc_calibrated"),
        "melanoma_sensitivity_balanced": classes[f"classes/{Diagnosis.MEL}/sensitivity"],
        "melanoma_sensitivity_calibrated": share(calibrated[answers.labels == MEL] == MEL),
        "specificity_at_95_sensitivity": specificity_at(
            answers.calibrated[:, MALIGNANT_COLUMNS].sum(axis=1), answers.cancer, 0.95
        ),
        "malignant_auc": auc(answers.calibrated[:, MALIGNANT_COLUMNS].sum(axis=1), answers.cancer),
        "expected_calibration_error": expected_calibration_error(
            answers.calibrated, answers.labels
        ),
        **outcome_measures(answers),
        **classes,
    }


def with_intervals(
    answers: Answers, measured: Callable[[Answers], Measures] = measure
) -> dict[str, dict[str, float]]:
    """Each figure with the 95 % interval of REPLICATES bootstrap draws of whole lesions.

    A rate of 0 or 1 does not vary between draws. Its other end is then Clopper & Pearson's (1934),
    counting lesions: the largest share of which none would be seen among n.
    """
    rng = np.random.default_rng(0)
    _, lesion = np.unique(answers.lesions, return_inverse=True)
    rows = [np.flatnonzero(lesion == number) for number in range(lesion.max() + 1)]
    draws = []
    for _ in range(REPLICATES):
        drawn = rng.integers(0, len(rows), len(rows))
        draws.append(measured(answers.take(np.concatenate([rows[number] for number in drawn]))))
    figures = {}
    for name, value in measured(answers).items():
        drawn_values = np.array([draw[name] for draw in draws])
        seen = drawn_values[~np.isnan(drawn_values)]
        low, high = np.percentile(seen, [2.5, 97.5]) if len(seen) else (float("nan"),) * 2
        figures[name] = {"value": value, "low": float(low), "high": float(high)}
    for name, counted in _counted(answers).items():
        figure, scale = figures.get(name, {}), 100 if "per_100" in name else 1
        unseen = scale * (1 - 0.025 ** (1 / max(len(np.unique(answers.lesions[counted])), 1)))
        if figure.get("low") == figure.get("high") == 0:
            figure["high"] = unseen
        elif figure.get("low") == figure.get("high") == scale:
            figure["low"] = scale - unseen
    return figures


def _counted(answers: Answers) -> dict[str, Bools]:
    """Which images each rate is based on, by the rate's name."""
    cancer, melanoma = answers.cancer, answers.labels == MEL
    groups = {"missed_per_100_cancers": cancer, "missed_per_100_melanomas": melanoma}
    groups |= {"cancers_told": cancer, "cancers_refused": cancer, "melanomas_told": melanoma}
    groups |= {"harmless_told_monitor": ~cancer, "refused": np.ones(len(cancer), np.bool_)}
    for level in ("see_doctor", "urgent"):
        groups[f"{level}/malignant_sensitivity"] = cancer
        groups[f"{level}/melanoma_sensitivity"] = melanoma
        groups[f"{level}/malignant_specificity"] = ~cancer
    for number, diagnosis in enumerate(Diagnosis):
        groups[f"classes/{diagnosis}/sensitivity"] = answers.labels == number
        groups[f"classes/{diagnosis}/specificity"] = answers.labels != number
    return groups


def specificity_at(scores: Floats, positive: Bools, sensitivity: float) -> float:
    """The specificity at the highest threshold reached by this share of the positives."""
    if not positive.any() or positive.all():
        return float("nan")
    return share(scores[~positive] < at_sensitivity(scores, positive, sensitivity))


def roc_curves(answers: Answers, points: int = 41) -> dict[str, list[list[float]]]:
    """For cancer, and for each diagnosis by the calibrated reading: [1 - specificity,
    sensitivity].
    """
    scores = {"malignant": answers.calibrated[:, MALIGNANT_COLUMNS].sum(axis=1)}
    positives = {"malignant": answers.cancer}
    for number, diagnosis in enumerate(Diagnosis):
        scores[diagnosis.value] = answers.calibrated[:, number]
        positives[diagnosis.value] = answers.labels == number
    levels = np.linspace(0, 1, points)
    curves = {}
    for name, positive in positives.items():
        if positive.any() and not positive.all():
            cuts = np.quantile(scores[name][~positive], 1 - levels)
            curves[name] = [
                [float(level), share(scores[name][positive] >= cut)]
                for level, cut in zip(levels, cuts, strict=True)
            ]
    return curves


def at_prevalences(answers: Answers) -> dict[str, dict[str, dict[str, float]]]:
    """Predictive values at this prevalence of cancer, by Bayes' rule from the test's rates."""
    rates = outcome_measures(answers)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for level in ("see_doctor", "urgent"):
        found = rates[f"{level}/malignant_sensitivity"]
        calm = rates[f"{level}/malignant_specificity"]
        table[level] = {}
        for prevalence in PREVALENCES:
            hits, alarms = found * prevalence, (1 - calm) * (1 - prevalence)
            misses, rest = (1 - found) * prevalence, calm * (1 - prevalence)
            table[level][f"{prevalence:g}"] = {
                "ppv": hits / max(hits + alarms, 1e-12),
                "npv": rest / max(rest + misses, 1e-12),
            }
    return table


def confusion(chosen: Labels, labels: Labels) -> list[list[int]]:
    """[k][k]: true class by row, predicted class by column."""
    counts = np.zeros((len(Diagnosis), len(Diagnosis)), int)
    np.add.at(counts, (labels, chosen), 1)
    return [[int(count) for count in row] for row in counts]


def reliability(answers: Answers, bins: int = 10) -> list[dict[str, float]]:
    """In equal bins of p_malignant: the mean prediction, the share of cancers, and the count."""
    said = answers.calibrated[:, MALIGNANT_COLUMNS].sum(axis=1)
    numbers = np.minimum((said * bins).astype(int), bins - 1)
    return [
        {
            "said": float(said[numbers == number].mean()),
            "was": share(answers.cancer[numbers == number]),
            "n": int((numbers == number).sum()),
        }
        for number in np.unique(numbers)
    ]
