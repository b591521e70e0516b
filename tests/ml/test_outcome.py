"""From probabilities to outcomes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ml import calibrate
from ml.diagnoses import Diagnosis
from ml.outcome import DANGEROUS, decide, p_malignant, severest, tell
from ml.types import REMARKS_ONLY, NotAssessable, Outcome

THRESHOLDS = {"urgent": 0.6, "urgent_mel": 0.4, "see_doctor": 0.2, "see_doctor_mel": 0.1}


def probabilities(mel: float = 0.0, bcc: float = 0.0, akiec: float = 0.0) -> dict[str, float]:
    rest = {"mel": mel, "bcc": bcc, "akiec": akiec, "nv": 1 - mel - bcc - akiec}
    return {diagnosis.value: rest.get(diagnosis, 0.0) for diagnosis in Diagnosis}


@pytest.mark.parametrize(
    ("shares", "outcome"),
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
def test_the_severe_label_wins(shares, outcome):
    assert decide(probabilities(**shares), THRESHOLDS) is outcome


def test_without_thresholds_for_melanoma_it_counts_as_any_cancer():
    single = {"urgent": 0.6, "see_doctor": 0.2}
    assert decide(probabilities(mel=0.15), single) is Outcome.MONITOR
    assert decide(probabilities(mel=0.2), single) is Outcome.SEE_DOCTOR
    assert decide(probabilities(mel=0.5), single) is Outcome.SEE_DOCTOR


def test_a_melanoma_above_its_own_threshold_is_never_monitored():
    lenient = {**THRESHOLDS, "see_doctor": 0.99, "urgent": 0.999}
    assert decide(probabilities(mel=0.15), lenient) is Outcome.SEE_DOCTOR


def test_malignant_is_the_sum_of_three():
    assert p_malignant(probabilities(0.3, 0.2, 0.1)) == pytest.approx(0.6)


def test_the_severest_is_the_first_of_all_outcomes():
    assert severest(reversed(Outcome)) is Outcome.URGENT
    assert severest([Outcome.MONITOR, Outcome.SEE_DOCTOR]) is Outcome.SEE_DOCTOR


faults = some.lists(some.sampled_from(NotAssessable), unique=True)
assessed = some.sampled_from([Outcome.URGENT, Outcome.SEE_DOCTOR, Outcome.MONITOR])


@given(assessed, faults)
def test_no_fault_hides_a_dangerous_reading_of_a_dermatoscopic_picture(outcome, found):
    told, reason, remarks = tell(outcome, found, is_dermatoscopic=True)
    if outcome in DANGEROUS:
        assert (told, reason) == (outcome, "")
        assert remarks == tuple(found)
    elif set(found) <= REMARKS_ONLY:
        assert (told, reason, remarks) == (Outcome.MONITOR, "", tuple(found))
    else:
        assert told is Outcome.NOT_ASSESSABLE
        assert reason not in REMARKS_ONLY
        assert {reason, *remarks} == set(found)


@given(assessed, faults)
def test_what_is_not_dermatoscopic_is_never_told_more_than_that(outcome, found):
    told, reason, remarks = tell(
        outcome, [NotAssessable.NOT_DERMATOSCOPIC, *found], is_dermatoscopic=False
    )
    assert (told, reason) == (Outcome.NOT_ASSESSABLE, NotAssessable.NOT_DERMATOSCOPIC)
    assert set(remarks) == set(found) - {NotAssessable.NOT_DERMATOSCOPIC}


@given(assessed, faults, some.sampled_from(NotAssessable))
def test_one_fault_more_never_makes_it_milder(outcome, found, more):
    """Not assessable is not an all-clear: here it ranks above monitor."""
    order = [Outcome.MONITOR, Outcome.NOT_ASSESSABLE, Outcome.SEE_DOCTOR, Outcome.URGENT]
    before, after = (
        tell(outcome, listed, is_dermatoscopic=True)[0] for listed in (found, [*found, more])
    )
    assert order.index(after) >= order.index(before)


def test_the_worst_source_sets_the_threshold():
    scores = np.linspace(0.01, 1, 100)
    easy, hard = (scores, scores > 0.5), (scores, scores > 0.2)
    threshold = calibrate.at_sensitivities([easy, hard], each=0.89, mean=0.89)
    assert threshold == calibrate.at_sensitivity(*hard, 0.89)
    for numbers, positive in (easy, hard):
        assert (numbers >= threshold)[positive].mean() >= 0.89


def test_the_mean_over_the_sources_lowers_the_threshold():
    scores = np.linspace(0.01, 1, 100)
    few, many = (scores, scores > 0.9), (scores, scores > 0.2)
    worst = calibrate.at_sensitivities([few, many], each=0.9, mean=0.0)
    threshold = calibrate.at_sensitivities([few, many], each=0.9, mean=0.97)
    assert threshold < worst

    def mean(limit):
        return np.mean([(numbers >= limit)[positive].mean() for numbers, positive in (few, many)])

    assert mean(threshold) >= 0.97 > mean(scores[scores > threshold].min())


def test_a_source_that_is_turned_away_has_no_threshold():
    scores = np.where(np.arange(100) < 20, 0.0, 0.5)
    away, kept = (scores, np.ones(100, bool)), (scores, scores > 0)
    with pytest.raises(ValueError, match="turned away"):
        calibrate.at_sensitivities([away, kept], each=0.96, mean=0.5)
    with pytest.raises(ValueError, match="turned away"):
        calibrate.at_sensitivities([away, kept], each=0.5, mean=0.98)
