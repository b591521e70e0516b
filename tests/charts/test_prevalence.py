"""What a flag means where cancer is rarer: Bayes' rule, whole people, and no zero from rounding."""

from __future__ import annotations

import numpy as np
import pytest

from ml import figures
from ml.calibrate import MALIGNANT_COLUMNS
from ml.types import Outcome
from screening.charts import prevalence
from tests import cards


def test_people_are_counted_by_bayes_rule():
    one = prevalence.meaning(0.05, sensitivity=0.94, specificity=0.8)
    assert one.cancers == 50
    assert one.missed == pytest.approx(3)
    assert one.flagged_harmless == pytest.approx(190)
    assert one.ppv == pytest.approx(47 / 237)
    assert one.miss == pytest.approx(3 / 763)
    assert prevalence.sentence(one) == (
        "Of 1,000 people, 50 have cancer or a precursor: the software flags 47 and misses 3. "
        "It also flags 190 without cancer. Of 100 flagged, 20 have cancer."
    )


def test_a_cancer_missed_more_rarely_than_once_is_not_told_as_none():
    words = prevalence.sentence(prevalence.meaning(0.001, 0.95, 0.8))
    assert "1 has cancer or a precursor: the software flags 1 and misses fewer than 1." in words
    assert words.endswith("Of 100 flagged, fewer than 1 have cancer.")


def test_nothing_flagged_divides_by_nothing():
    one = prevalence.meaning(0.01, sensitivity=0.0, specificity=1.0)
    assert (one.ppv, one.miss) == (0.0, 0.01)


def test_every_stop_makes_whole_people():
    assert prevalence.STOPS[0] == 0.001
    assert prevalence.STOPS[-1] == 0.3
    assert [1000 * stop for stop in prevalence.STOPS] == pytest.approx(
        [prevalence.meaning(stop, 0.9, 0.9).cancers for stop in prevalence.STOPS]
    )


def test_it_agrees_with_what_the_card_says_at_three_prevalences():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 7, 300)
    told = rng.choice([Outcome.URGENT, Outcome.SEE_DOCTOR, Outcome.MONITOR], 300)
    probabilities = np.full((300, 7), 1 / 7)
    answers = figures.Answers(
        labels, probabilities, probabilities, told, np.arange(300).astype(str)
    )
    assert np.isin(labels, MALIGNANT_COLUMNS).any()
    rates = figures.outcome_measures(answers)
    for level, by_prevalence in figures.at_prevalences(answers).items():
        for share, values in by_prevalence.items():
            one = prevalence.meaning(
                float(share),
                rates[f"{level}/malignant_sensitivity"],
                rates[f"{level}/malignant_specificity"],
            )
            assert one.ppv == pytest.approx(values["ppv"])
            assert 1 - one.miss == pytest.approx(values["npv"])
    assert [float(share) for share in by_prevalence] == list(prevalence.IN_TABLE)


def test_the_story_follows_from_the_rates():
    story = prevalence.story(cards.complete())
    assert story.heading == (
        "Of 100 flagged, 4 have cancer where 1 in 100 people has it; where 20 in 100 have it, 49"
    )
    assert (story.in_test, story.missed, story.everyday) == ("51", "5", "4")
    assert story.rows[0] == ("1 in 100", "4 of 100", "8 of 100", "1 of 1,000")
    assert story.rates["stops"][story.rates["first"]] == prevalence.SHOWN_FIRST


def test_a_test_that_missed_none_does_not_promise_none():
    card = cards.complete()
    rates = card["figures"]["with_95_percent_intervals"]
    rates["see_doctor/malignant_sensitivity"] = {"value": 1.0, "low": 0.965, "high": 1.0}
    story = prevalence.story(card)
    assert story.missed == "up to 4"
    assert "the software flags 48 and misses 2." in story.sentence
    assert story.rates["sensitivity"] == 0.965
