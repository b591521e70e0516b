"""Outcomes on each source's cameras, from invented readings."""

from dataclasses import replace

import numpy as np
import pytest

from ml.diagnoses import Diagnosis
from ml.evaluation import cameras
from ml.evaluation.judge import Read
from ml.inference.litert import Seen
from ml.inference.look import Look, Rules
from ml.training import outside
from ml.training.data import FRAME, Examples, Source

MEL, NV = list(Diagnosis).index(Diagnosis.MEL), list(Diagnosis).index(Diagnosis.NV)
RULES = Rules(
    np.full(7, 1 / 7),
    1.0,
    {"urgent": 0.9, "urgent_mel": 0.9, "see_doctor": 0.5},
    gate=0.2,
    floor=0.2,
    by_image=True,
)


def read(melanoma: list[float], in_distribution: list[float]) -> Read:
    """Readings whose probability is split between melanoma and nevus alone."""
    logits = np.full((len(melanoma), 7), -30.0)
    logits[:, MEL], logits[:, NV] = np.log(melanoma), np.log(1 - np.array(melanoma))
    gates = np.log(np.array(in_distribution)) - np.log1p(-np.minimum(in_distribution, 1 - 1e-9))
    seen = [
        Seen(row, np.zeros((3, 7)), float(gate), None, np.zeros((1, 1, 7)), np.zeros((2, 2)))
        for row, gate in zip(logits, gates, strict=True)
    ]
    return Read(tuple(Look(one, (), (), ()) for one in seen))


def examples(labels: list[int], **values: object) -> Examples:
    blank = outside.as_examples(np.zeros((len(labels), *FRAME, 3), np.uint8))
    sources = np.full(len(labels), int(Source.MILK10K))
    return replace(blank, labels=np.array(labels), sources=sources, **values)


def test_a_cancer_that_is_turned_away_is_missed():
    some = examples([MEL, MEL, MEL, MEL, NV, NV, NV, NV])
    seen = read([0.95, 0.6, 0.6, 0.1, 0.1, 0.1, 0.6, 0.1], [1, 1, 0.1, 1, 1, 0.1, 1, 1])
    told = seen.answers(RULES, some)
    assert list(told.outcomes) == [
        *("urgent", "see_doctor", "not_assessable", "monitor"),
        *("monitor", "not_assessable", "see_doctor", "monitor"),
    ]
    shares = cameras.tellings(told)
    assert shares["cancers_told"] == shares["melanomas_told"] == 0.5
    assert shares["cancers_refused"] == 0.25
    assert shares["harmless_told_monitor"] == 0.5
    assert shares["refused"] == 0.25


def test_means_are_over_diagnoses_with_enough_images():
    some = examples([MEL] * 6 + [NV] * 6 + [0] * 4)
    seen = read([0.9] * 3 + [0.1] * 9 + [0.2] * 4, [1.0] * 16)
    found = cameras.source_figures(RULES, some, seen)
    assert found["means_over"] == ["mel", "nv"]
    rates = found["with_95_percent_intervals"]
    assert rates["balanced_accuracy"]["value"] == pytest.approx(0.75)
    assert rates["cancers_told"]["low"] <= rates["cancers_told"]["value"] == pytest.approx(0.3)
    assert sum(one["n"] for one in found["reliability_of_p_malignant"]) == 16


def test_a_tone_with_few_images_is_told_to_be_too_few():
    tones = np.array([0] * 3 + [3] * 40)
    some = examples([MEL] * 3 + [MEL, NV] * 20, tones=tones)
    found = cameras.tone_figures(RULES, some, read([0.8] * 43, [1.0] * 43))
    assert found["0"] == {
        "cancers": 3,
        "benign": 0,
        "cancers_told": "too few",
        "harmless_told_monitor": "too few",
    }
    assert found["3"]["cancers_told"]["value"] == 1
    assert found["3"]["cancers_told"]["low"] < 1
    assert found["3"]["harmless_told_monitor"]["value"] == 0
    assert found["5"]["cancers_told"] == "too few"


def test_lesions_of_no_diagnosis_are_counted_by_what_they_are_told():
    some = examples([-1, -1, -1], kinds=np.array(["INF", "MAL_OTH", "INF"]))
    found = cameras.unknown_figures(RULES, some, read([0.95, 0.1, 0.3], [1, 1, 0.1]))
    assert found["INF"]["images"] == 2
    told = {"urgent": 1, "see_doctor": 0, "monitor": 0, "not_assessable": 1}
    assert found["INF"]["told"] == told
    assert found["MAL_OTH"]["told"]["monitor"] == 1
    assert found["MAL_OTH"]["mean_of_the_largest_probability"] == pytest.approx(0.9)
