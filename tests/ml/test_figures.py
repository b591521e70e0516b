"""Calibration and measures against cases computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from ml import calibrate, figures
from ml.diagnoses import Diagnosis
from ml.figures import Answers
from ml.outcome import decide
from ml.types import Outcome

RNG = np.random.default_rng(4)
PRIOR = np.array([0.03, 0.05, 0.11, 0.01, 0.12, 0.66, 0.02])
THRESHOLDS = {"urgent": 0.6, "urgent_mel": 0.5, "see_doctor": 0.2, "see_doctor_mel": 0.1}


def made_up(count: int = 600) -> Answers:
    labels = RNG.choice(7, count, p=PRIOR)
    logits = RNG.normal(0, 1, (count, 7)) + 3 * np.eye(7)[labels]
    probabilities = calibrate.calibrated(logits, PRIOR, 1.0)
    named = [dict(zip(Diagnosis, row, strict=True)) for row in probabilities]
    outcomes = np.array([decide(row, THRESHOLDS).value for row in named])
    lesions = np.array([f"L{number // 2}" for number in range(count)])
    return Answers(labels, calibrate.softmax(logits), probabilities, outcomes, lesions)


def test_auc_counts_the_pairs_in_the_right_order():
    scores = np.array([0.1, 0.4, 0.35, 0.8])
    positive = np.array([False, False, True, True])
    assert figures.auc(scores, positive) == 0.75
    assert figures.auc(np.ones(4), positive) == 0.5
    assert np.isnan(figures.auc(scores, np.zeros(4, bool)))


def test_the_temperature_that_made_the_labels_is_found():
    logits = RNG.normal(0, 3, (8000, 7))
    probabilities = calibrate.calibrated(logits, PRIOR, 1.6)
    labels = np.array([RNG.choice(7, p=row) for row in probabilities])
    assert calibrate.fit_temperature([(logits, labels, PRIOR)]) == pytest.approx(1.6, rel=0.06)
    assert figures.expected_calibration_error(probabilities, labels) < 0.02


def test_calibrated_puts_the_prior_back():
    assert calibrate.calibrated(np.zeros((1, 7)), PRIOR, 1.0)[0] == pytest.approx(PRIOR)


def test_the_threshold_of_a_sensitivity_is_reached_by_enough():
    scores = np.arange(100) / 100
    positive = scores >= 0.5
    threshold = calibrate.at_sensitivity(scores, positive, 0.9)
    assert (scores[positive] >= threshold).mean() == pytest.approx(0.9, abs=0.021)
    assert (scores[positive] >= threshold).mean() >= 0.9


def test_the_threshold_of_a_precision_is_the_lowest():
    scores = np.arange(100) / 100
    positive = scores >= 0.5
    threshold = calibrate.at_precision(scores, positive, 0.7)
    assert positive[scores >= threshold].mean() >= 0.7
    assert positive[scores >= threshold - 0.015].mean() < 0.7
    with pytest.raises(ValueError, match="precision"):
        calibrate.at_precision(scores, np.zeros(100, bool), 0.7)


def test_confusion_has_the_truth_in_its_rows():
    table = figures.confusion(np.array([0, 1, 1]), np.array([0, 0, 1]))
    assert (table[0][:2], table[1][:2]) == ([1, 1], [0, 1])


def test_the_outcome_figures_agree_with_each_other():
    answers = made_up()
    measures = figures.measure(answers)
    missed = answers.cancer & (answers.outcomes == "monitor")
    expected = 100 * missed.sum() / answers.cancer.sum()
    assert measures["missed_per_100_cancers"] == pytest.approx(expected)
    sensitivity = measures["see_doctor/malignant_sensitivity"]
    assert measures["missed_per_100_cancers"] == pytest.approx(100 * (1 - sensitivity))
    assert measures["urgent/malignant_sensitivity"] <= sensitivity
    assert measures["urgent/malignant_ppv"] >= measures["see_doctor/malignant_ppv"]


def test_the_intervals_hold_the_values(monkeypatch):
    monkeypatch.setattr(figures, "REPLICATES", 60)
    answers = made_up(300)
    for name, figure in figures.with_intervals(answers).items():
        assert figure["low"] <= figure["value"] <= figure["high"], name


def test_a_rate_of_none_or_all_promises_no_more_than_its_count(monkeypatch):
    monkeypatch.setattr(figures, "REPLICATES", 20)
    some = made_up(300)
    all_found = replace(some, outcomes=np.full(300, str(Outcome.URGENT)))
    found = figures.with_intervals(all_found)
    cancers = len(np.unique(some.lesions[some.cancer]))
    # As in Clopper and Pearson's table for n of n: the n-th root of 2.5 %.
    low = 0.025 ** (1 / cancers)
    assert found["see_doctor/malignant_sensitivity"] == pytest.approx(
        {"value": 1, "low": low, "high": 1}
    )
    assert found["missed_per_100_cancers"] == pytest.approx(
        {"value": 0, "low": 0, "high": 100 * (1 - low)}
    )
    assert found["see_doctor/malignant_specificity"]["high"] < 0.05


def test_a_class_that_is_absent_has_no_figures():
    answers = made_up()
    without = answers.take(answers.labels != list(Diagnosis).index(Diagnosis.DF))
    assert np.isnan(figures.measure(without)["classes/df/sensitivity"])
    assert not np.isnan(figures.measure(without)["balanced_accuracy_balanced"])


def test_reliability_counts_every_image():
    answers = made_up()
    assert sum(bin_["n"] for bin_ in figures.reliability(answers)) == len(answers.labels)


def test_predictive_values_follow_bayes():
    answers = made_up()
    rates = figures.outcome_measures(answers)
    found = rates["see_doctor/malignant_sensitivity"]
    calm = rates["see_doctor/malignant_specificity"]
    table = figures.at_prevalences(answers)["see_doctor"]
    assert set(table) == {"0.01", "0.05", "0.2"}
    expected = found * 0.05 / (found * 0.05 + (1 - calm) * 0.95)
    assert table["0.05"]["ppv"] == pytest.approx(expected)
    assert table["0.01"]["ppv"] < table["0.2"]["ppv"]
    assert table["0.01"]["npv"] > table["0.2"]["npv"]


def test_the_specificity_at_a_sensitivity():
    scores = np.array([0.9, 0.8, 0.7, 0.1, 0.75, 0.2, 0.3, 0.05])
    positive = np.array([True] * 4 + [False] * 4)
    assert figures.specificity_at(scores, positive, 0.75) == 0.75
    assert figures.specificity_at(scores, positive, 1.0) == 0.25
    assert np.isnan(figures.specificity_at(scores, np.ones(8, bool), 0.95))


def test_roc_curves_rise_from_corner_to_corner():
    curves = figures.roc_curves(made_up())
    assert set(curves) == {"malignant", *(diagnosis.value for diagnosis in Diagnosis)}
    for curve in curves.values():
        falls, rises = zip(*curve, strict=True)
        assert list(falls) == sorted(falls)
        assert list(rises) == sorted(rises)
        assert curve[-1] == [1.0, 1.0]
    area = np.trapezoid([y for _, y in curves["mel"]], [x for x, _ in curves["mel"]])
    assert 0.8 < area <= 1
