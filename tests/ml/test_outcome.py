"""From probabilities to outcomes."""

import pytest

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
