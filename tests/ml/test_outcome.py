"""From probabilities to outcomes."""

import numpy as np
import pytest

from ml import calibrate, figures
from ml.outcome import decide, p_malignant
from ml.types import Diagnosis, Outcome

THRESHOLDS = {"urgent": 0.6, "urgent_mel": 0.4, "see_doctor": 0.2, "see_doctor_mel": 0.1}


def probabilities(mel: float = 0.0, bcc: float = 0.0, akiec: float = 0.0) -> dict[str, float]:
    rest = {"mel": mel, "bcc": bcc, "akiec": akiec, "nv": 1 - mel - bcc - akiec}
    return {diagnosis.value: rest.get(diagnosis, 0.0) for diagnosis in Diagnosis}


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({}, Outcome.MONITOR),
        ({"bcc": 0.1, "akiec": 0.05}, Outcome.MONITOR),
        ({"bcc": 0.1, "akiec": 0.1}, Outcome.SEE_DOCTOR),
        ({"mel": 0.1}, Outcome.SEE_DOCTOR),
        ({"bcc": 0.59}, Outcome.SEE_DOCTOR),
        ({"bcc": 0.6}, Outcome.URGENT),
        ({"mel": 0.4}, Outcome.URGENT),
        ({"mel": 0.3, "bcc": 0.2, "akiec": 0.1}, Outcome.URGENT),
    ],
)
def test_the_severe_label_wins(given, outcome):
    assert decide(probabilities(**given), THRESHOLDS) is outcome


def test_a_melanoma_above_its_own_threshold_is_never_monitored():
    lenient = {**THRESHOLDS, "see_doctor": 0.99, "urgent": 0.999}
    assert decide(probabilities(mel=0.15), lenient) is Outcome.SEE_DOCTOR


def test_malignant_is_the_sum_of_three():
    assert p_malignant(probabilities(0.3, 0.2, 0.1)) == pytest.approx(0.6)


def some_readings(count: int = 400):
    """Calibrated probabilities [n, 7] that follow the labels roughly, and the labels."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, len(Diagnosis), count)
    logits = rng.normal(0, 1.2, (count, len(Diagnosis))) + 2.0 * np.eye(len(Diagnosis))[labels]
    return calibrate.softmax(logits), labels


def test_both_thresholds_together_find_what_the_rules_ask_and_no_more():
    rules = {
        "sensitivity": 0.9,
        "melanoma_sensitivity": 0.97,
        "precision": 0.7,
        "melanoma_precision": 0.5,
    }
    probabilities, labels = some_readings()
    found = calibrate.thresholds(probabilities, labels, rules)
    told = figures.outcomes(probabilities, found) != Outcome.MONITOR
    cancer = np.isin(labels, calibrate.MALIGNANT_COLUMNS)
    melanoma = labels == calibrate.MEL
    p_malignant = probabilities[:, calibrate.MALIGNANT_COLUMNS].sum(axis=1)
    assert (p_malignant >= found["see_doctor"])[cancer].mean() >= 0.9
    assert told[melanoma].mean() >= 0.97
    assert found["see_doctor_mel"] <= found["see_doctor"]
    # Without its own threshold the melanomas' rule would not have been met.
    assert (p_malignant >= found["see_doctor"])[melanoma].mean() < 0.97


def test_no_second_threshold_where_the_first_is_enough():
    rules = {
        "sensitivity": 1.0,
        "melanoma_sensitivity": 0.9,
        "precision": 0.7,
        "melanoma_precision": 0.5,
    }
    found = calibrate.thresholds(*some_readings(), rules)
    assert found["see_doctor_mel"] == found["see_doctor"]
