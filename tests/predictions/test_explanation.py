"""The explanation beside a reading: exact where it gives numbers, empty without a class."""

from __future__ import annotations

from math import exp, log

import pytest

from ml import reader
from ml.diagnoses import MALIGNANT, Diagnosis
from screening.predictions.explanation import LEAST_SCALE, explain
from screening.templatetags import screening_tags
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
    assert found[1].words == "made hardly any difference"


@pytest.mark.parametrize(
    ("change", "side", "x", "width"),
    [(0.1, "more", "100.00", "50.00"), (-0.2, "less", "0.00", "100.00")],
)
def test_a_signed_bar_starts_in_the_middle(change, side, x, width):
    bar = screening_tags.signed_bar(change, scale=20.0)
    assert f'<rect class="signed-{side}" x="{x}" width="{width}"' in bar


def test_bars_share_a_scale_that_makes_little_look_little():
    nothing = {d.value: 0.0 for d in Diagnosis}
    terms = dict.fromkeys(("age", "sex", "localization"), nothing)
    told = explain(reading({"nv": 0.9, "mel": 0.1}, context_terms=terms))
    assert told.scale == LEAST_SCALE
    strong = terms | {"age": nothing | {"mel": 2.0}}
    told = explain(reading({"nv": 0.5, "mel": 0.5}, context_terms=strong))
    assert told.scale == max(addition.points for addition in told.additions) > LEAST_SCALE


def test_all_seven_are_there_and_what_the_balanced_reading_puts_first_is_named():
    balanced = {d.value: 0.0 for d in Diagnosis} | {"vasc": 0.6, "nv": 0.4}
    shares = {"nv": 0.5, "mel": 0.3, "bkl": 0.15, "bcc": 0.04, "vasc": 0.01}
    told = explain(reading(shares, balanced_probabilities=balanced))
    assert [share.code for share in told.top] == ["nv", "mel", "bkl"]
    assert {share.code for share in told.shares} == {d.value for d in Diagnosis}
    assert told.balanced_name == Diagnosis.VASC.about.title
