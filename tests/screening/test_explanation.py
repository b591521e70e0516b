"""What is said beside a reading: exact where it gives numbers, silent where there is no class."""

from __future__ import annotations

from math import exp, log

import pytest

from ml import reader
from ml.types import MALIGNANT, Diagnosis
from screening.explanation import explain
from tests.factories import PredictionFactory


def reading(shares=None, **fields):
    if shares:
        fields["probabilities"] = {d.value: shares.get(d.value, 0.0) for d in Diagnosis}
    return PredictionFactory.build(model_version=reader.DEFAULT_VERSION, **fields)


def test_top_three_likeliest_first():
    told = explain(reading({"mel": 0.2, "nv": 0.5, "bkl": 0.25, "df": 0.05}))
    assert [(share.name, share.share) for share in told.top] == [
        ("Melanocytic nevus", 0.5),
        ("Benign keratosis", 0.25),
        ("Melanoma", 0.2),
    ]


@pytest.mark.parametrize(
    "fields",
    [{"outcome": "not_assessable", "reason": "blurred"}, {"queued": True}, {"failed": True}],
)
def test_no_class_where_nothing_was_assessed(fields):
    assert explain(reading(**fields)) is None


def test_balanced_reading_is_named_only_where_it_differs():
    same = explain(reading({"nv": 0.9, "mel": 0.1}))
    other = {d.value: 0.0 for d in Diagnosis} | {"mel": 0.6, "nv": 0.4}
    differs = explain(reading({"nv": 0.9, "mel": 0.1}, balanced_probabilities=other))
    assert (same.balanced_name, differs.balanced_name) == ("", "Melanoma")


def test_an_addition_is_the_difference_to_the_reading_without_it():
    """The long way: logits without the term, through the card's prior and temperature."""
    card = reader.card()
    image = {d: 0.3 * n for n, d in enumerate(Diagnosis)}
    term = {d.value: 0.5 if d == Diagnosis.MEL else -0.2 for d in Diagnosis}

    def p_malignant(logits):
        powers = {
            d: exp((logits[d] + log(card["prior"][d])) / card["temperature"]) for d in Diagnosis
        }
        total = sum(powers.values())
        shares = {d.value: power / total for d, power in powers.items()}
        return sum(shares[d] for d in MALIGNANT), shares

    told, shares = p_malignant({d: image[d] + term[d] for d in Diagnosis})
    without, _ = p_malignant(image)
    nothing = {d.value: 0.0 for d in Diagnosis}
    found = explain(
        reading(
            shares,
            context={"age": 66.0, "sex": None, "localization": "back"},
            context_terms={"age": term, "sex": nothing, "localization": nothing},
        )
    ).additions
    assert [(a.field, a.value) for a in found] == [("Age", "66"), ("Body site", "Back")]
    assert found[0].change == pytest.approx(told - without, abs=1e-9)
    assert found[1].change == pytest.approx(0, abs=1e-9)
    assert found[0].words.startswith("raised it by")
    assert found[1].words == "made hardly a difference"
