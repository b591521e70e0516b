"""The charts of a model card: correct numbers, a finding that follows from them, a table."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ml.diagnoses import Diagnosis
from screening.charts import card as card_charts
from screening.charts import card_summary, card_tables
from screening.charts import data_set as data_set_charts
from screening.charts.story import Story, interval, of_100, tick
from tests import cards

CARD = cards.complete()


def stories(card: dict[str, Any]) -> list[Story]:
    return card_charts.stories(card) + data_set_charts.stories(card)


def story(card: dict[str, Any], key: str) -> Story:
    return next(one for one in stories(card) if one.chart.key == key)


@pytest.fixture
def card() -> dict[str, Any]:
    """A copy of the complete card, to modify."""
    return copy.deepcopy(CARD)


@pytest.mark.parametrize("one", stories(CARD), ids=lambda one: one.chart.key)
def test_every_story_has_words_a_figure_of_plain_data_and_a_whole_table(one):
    assert one.heading and one.text and one.chart.summary
    assert json.loads(json.dumps(one.chart.figure)) == one.chart.figure
    assert len(one.chart.rows) >= 2
    assert all(len(row) == len(one.chart.head) for row in one.chart.rows)
    # No fixed colours: the theme sets them.
    assert "#" not in json.dumps(one.chart.figure)


def test_keys_are_unique_on_a_page():
    for page in (card_charts.stories(CARD), data_set_charts.stories(CARD)):
        assert len({one.chart.key for one in page}) == len(page)


def test_images_per_class_are_the_cards(card):
    summary = card["data_summary"]
    summary["images_per_class"] = {code.value: 10 for code in Diagnosis} | {"mel": 40}
    one = story(card, "classes")
    assert one.heading == "40 of 100 pictures are of one diagnosis: melanoma"
    assert "60 of 100 pictures show cancer" in one.text
    assert one.chart.rows[0] == ("Melanoma", "40", "40 %", "yes")
    assert one.chart.figure["data"][0]["x"][-1] == 40


def test_the_sexes_of_a_class_add_up(card):
    card["data_summary"]["sex_per_class"]["df"] = {"female": 1, "male": 8, "unknown": 1}
    one = story(card, "sexes")
    assert one.heading.startswith("80 of 100 pictures of dermatofibroma")
    totals = [
        sum(shares) for shares in zip(*(t["x"] for t in one.chart.figure["data"]), strict=True)
    ]
    assert totals == pytest.approx([1] * 7)


def test_ages_are_ranked(card):
    card["data_summary"]["median_age_per_class"] |= {"vasc": 12.0, "mel": 81.0}
    one = story(card, "ages")
    assert one.heading == "Typical age: 12 for vascular lesion, 81 for melanoma"
    assert one.chart.rows[0] == ("Melanoma", "81")
    assert one.chart.rows[-1] == ("Vascular lesion", "12")


def test_the_thinnest_site_is_named_and_unknown_is_no_site(card):
    sites = dict.fromkeys(card["data_summary"]["images_per_localization"], 100)
    card["data_summary"]["images_per_localization"] = sites | {
        "back": 300,
        "chest": 200,
        "ear": 3,
        "unknown": 1,
    }
    one = story(card, "sites")
    assert one.heading.startswith("Back and chest: ")
    assert one.heading.endswith("Ear: 3 in all")
    assert one.chart.rows[-1][0] == "Not stated"


def test_what_is_missing_is_counted(card):
    for by_sex in card["data_summary"]["sex_per_class"].values():
        by_sex["unknown"] = 2
    card["data_summary"] |= {"images": 1000, "lesions": 900}
    text = " ".join(data_set_charts.missing(card))
    assert "The sex in 14 pictures" in text
    assert "100 show one that another picture shows" in text
    assert "Skin tone" in text


def test_outcomes_of_cancers_and_of_harmless_lesions_add_up(card):
    rates = card["figures"]["with_95_percent_intervals"]
    for name, value in {
        "see_doctor/malignant_sensitivity": 0.95,
        "urgent/malignant_sensitivity": 0.6,
        "see_doctor/malignant_specificity": 0.7,
        "urgent/malignant_specificity": 0.9,
    }.items():
        rates[name]["value"] = value
    one = story(card, "outcomes")
    assert one.heading == "Of 100 cancers it flags 95; of 100 harmless lesions, 30"
    assert [list(map(str, row)) for row in one.chart.rows] == [
        ["100 cancers or precursors", "60 %", "35 %", "5 %"],
        ["100 harmless lesions", "10 %", "20 %", "70 %"],
    ]
    for number in (0, 1):
        assert sum(t["x"][number] for t in one.chart.figure["data"]) == pytest.approx(1)


def test_best_and_worst_diagnosis_are_named(card):
    rates = card["figures"]["with_95_percent_intervals"]
    rates["classes/df/sensitivity"] = {"value": 0.001, "low": 0.0, "high": 0.4}
    rates["classes/bcc/sensitivity"] = {"value": 0.999, "low": 0.9, "high": 1.0}
    one = story(card, "sensitivities")
    assert one.heading == (
        "It names basal cell carcinoma right in more than 99 of 100, dermatofibroma in fewer than 1"
    )
    assert one.chart.rows[-1][:3] == ("Dermatofibroma", "<1 %", "0–40 %")
    errors = one.chart.figure["data"][0]["error_x"]
    assert errors["array"][0] == pytest.approx(0.399)
    assert errors["arrayminus"][0] == pytest.approx(0.001)


def test_the_confusion_matrix_keeps_truth_in_rows(card):
    codes = [code.value for code in Diagnosis]
    names = [tick(code.about.title) for code in Diagnosis]
    counts = [[10 if row == column else 1 for column in range(7)] for row in range(7)]
    counts[codes.index("mel")][codes.index("nv")] = 8
    card["figures"]["confusion_balanced"] = counts
    one = story(card, "confusion")
    assert one.heading == (
        "Its most frequent mistake: melanoma taken for melanocytic nevus (mole), 8 of 23 times"
    )
    heat = one.chart.figure["data"][0]
    assert (heat["x"], heat["y"]) == (names, names)
    number = next(
        note
        for note in one.chart.figure["layout"]["annotations"]
        if (note["y"], note["x"]) == ("Melanoma", "Melanocytic nevus")
    )
    assert number["text"] == "8"
    assert one.chart.rows[codes.index("mel")][1 + codes.index("nv")] == 8


def test_a_diagnosis_without_test_images_breaks_nothing(card):
    card["figures"]["confusion_balanced"][3] = [0] * 7
    assert story(card, "confusion").chart.figure["data"][0]["z"][3] == [0] * 7


def test_the_gap_of_the_stated_chance_is_weighed_by_images(card):
    card["figures"]["reliability_of_p_malignant"] = [
        {"said": 0.1, "was": 0.1, "n": 30},
        {"said": 0.5, "was": 0.9, "n": 10},
    ]
    one = story(card, "reliability")
    assert one.heading.endswith("off by 10 percentage points on average")
    assert one.chart.rows == [("10 %", "10 %", "30"), ("50 %", "90 %", "10")]


def said(points: list[card_summary.Point], claim: str) -> str:
    return next(point.text for point in points if point.claim == claim)


def test_the_summary_rounds_towards_the_worse(card):
    rates = card["figures"]["with_95_percent_intervals"]
    rates["missed_per_100_cancers"] = {"value": 4.4, "low": 2.0, "high": 7.6}
    rates["missed_per_100_melanomas"] = {"value": 0, "low": 0, "high": 3.0}
    rates["balanced_accuracy_balanced"] = {"value": 0.781, "low": 0.72, "high": 0.84}
    fails = card_summary.fails(card)
    assert said(fails, "It misses some cancers.") == (
        "It says “Monitor” for 5 of 100 cancers and fewer than 1 of 100 melanomas. By chance, the "
        "true numbers may be as high as 8 and 3."
    )
    assert said(fails, "It often gets the name wrong.").startswith("It names 78 of 100")


def test_the_summary_tells_the_worst_source(card):
    card["sources"] = {
        name: {
            "images": 100,
            "with_95_percent_intervals": {
                "cancers_told": cards.rate(found),
                "harmless_told_monitor": cards.rate(spared),
            },
        }
        for name, found, spared in (("HAM10000", 0.97, 0.5), ("MILK10K", 0.929, 0.1))
    }
    assert "at least 90." in said(card_summary.good_for(card), "It overlooks few cancers.")
    assert said(
        card_summary.fails(card), "Other cameras and clinics lead to more false alarms."
    ) == (
        "Of 100 harmless lesions in the pictures of HAM10000 it says “Monitor” for 50; in those "
        "of MILK10k, for 10."
    )


def test_nothing_is_praised_that_fails(card):
    claim = "It turns away what is not skin."
    assert claim in [point.claim for point in card_summary.good_for(card)]
    card["gate"]["outside_rejected"] |= dict.fromkeys(card["gate"]["outside_rejected"], 0.8)
    assert claim not in [point.claim for point in card_summary.good_for(card)]


@pytest.mark.parametrize(
    ("refused", "claim"),
    [
        (0.06, "It seldom notices an ordinary photograph."),
        (0.974, "It does not notice every ordinary photograph."),
    ],
)
def test_ordinary_photographs_are_told_as_measured(card, refused, claim):
    card["milk10k"] = {"closeups": 580, "closeups_refused": refused}
    assert said(card_summary.fails(card), claim).startswith("Of 580 close-ups")


def test_groups_without_a_rate_are_named(card):
    card["figures"]["subgroups"] = {
        "sex": {"female": {"cancers": 30, "benign": 40, "sensitivity": 0.9, "specificity": 0.6}},
        "age": {"0-39": {"cancers": 6, "benign": 40}, "40-59": {"cancers": 6, "benign": 40}},
    }
    assert card_tables.groups_without_a_rate(card) == ["Age: 0–39 years, 40–59 years"]


@pytest.mark.parametrize(("share", "told"), [(0.9, None), (0.5, ("Ear", "50 %"))])
def test_a_group_is_the_weakest_only_beyond_chance(card, share, told):
    ear = {"cancers": 20, "benign": 5, "sensitivity": share}
    card["figures"]["subgroups"] = {"localization": {"ear": ear}}
    assert card_tables.weakest_group(card) == told


def test_groups_with_too_few_images_get_no_rate(card):
    card["figures"]["subgroups"] = {
        "sex": {"female": {"cancers": 30, "benign": 40, "sensitivity": 0.9, "specificity": 0.6}},
        "age": {"0-39": {"cancers": 6, "benign": 40, "specificity": 1.0}},
        "localization": {
            "ear": {"cancers": 20, "benign": 5, "sensitivity": 0.5},
        },
    }
    assert card_tables.subgroups(card) == [
        ("Sex", [("Female", "90 % of 30", "40 % of 40")]),
        ("Age", [("0–39 years", "too few: 6", "<1 % of 40")]),
        ("Body site", [("Ear", "50 % of 20", "too few: 5")]),
    ]
    assert card_tables.weakest_group(card) == ("Ear", "50 %")


def test_other_cameras_are_told_only_where_they_were_measured(card):
    rates = card["isic2017"]["with_95_percent_intervals"]
    rates["see_doctor/malignant_sensitivity"] = {"value": 0.9, "low": 0.8, "high": 0.95}
    rates["see_doctor/malignant_specificity"] = {"value": 0.6, "low": 0.5, "high": 0.7}
    found, flagged, ranked = card_tables.other_cameras(card)
    assert (found.value, found.interval) == ("90", "80–95")
    assert (flagged.value, flagged.interval) == ("40", "30–50")
    assert (ranked.value, ranked.interval) == ("87", "82–91")
    del card["isic2017"]
    assert card_tables.other_cameras(card) == []


def test_skin_tones_are_told_as_estimated_and_thin_ones_without_a_rate(card):
    title, rows = card_tables.subgroups(card)[-1]
    assert title == "Skin tone, estimated from the picture"
    assert rows == [
        ("Very light skin", "92 % of 50", "30 % of 300"),
        ("Dark skin", "too few: 0", "too few: 2"),
    ]


def test_no_group_is_the_weakest_where_none_has_a_rate(card):
    card["figures"]["subgroups"] = {"sex": {"male": {"cancers": 3, "benign": 4}}}
    assert card_tables.weakest_group(card) is None


def test_the_page_before_is_compared_by_the_same_measures(card):
    assert card_tables.beside_reference(card) == [
        ("Melanomas named right", "68 %", "55 %", "22 %"),
        ("Named right, all diagnoses counting alike", "78 %", "70 %", "31 %"),
        ("Named right, of all pictures", "74 %", "82 %", "81 %"),
    ]


def test_outlines_are_told_as_measured(card):
    assert [value for _, value in card_tables.outlines(card)] == ["640", "86 %", "89 %", "6 %"]


def test_a_bare_card_leaves_out_what_it_has_not_measured():
    card = cards.bare()
    assert card_tables.outlines(card) == card_tables.beside_reference(card) == []
    assert card_tables.subgroups(card) == card_tables.other_cameras(card) == []
    assert card_tables.weakest_group(card) is None
    assert "roc" not in [one.chart.key for one in card_charts.stories(card)]


def test_the_roc_curve_marks_the_thresholds_and_has_each_diagnosis_in_its_table(card):
    card["figures"]["roc"]["mel"] = [[0.0, 0.1], [0.05, 0.4], [0.075, 0.5], [0.15, 0.8], [1, 1]]
    one = story(card, "roc")
    assert one.heading == (
        "Of a cancer and a harmless lesion, it ranks the cancer higher 93 times of 100"
    )
    _, line, marks = one.chart.figure["data"]
    assert (line["x"][0], line["x"][-1], line["y"][-1]) == (0, 1, 1)
    assert marks["x"] == pytest.approx([0.25, 0.08])
    assert marks["y"] == [0.95, 0.7]
    rows = {row[0]: row[2:] for row in one.chart.rows}
    assert len(rows) == 8
    assert rows["Melanoma"] == ("40 %", "50 %", "80 %")


def test_turned_away_names_every_kind_that_was_tried(card):
    rows = card_tables.turned_away(card)
    assert len(rows) == len(card["gate"]["outside_rejected"])
    assert not any("_" in name for name, _, _ in rows)


def test_ends_claim_no_more_than_they_may():
    assert [of_100(share) for share in (0, 0.004, 0.5, 0.996, 1)] == [
        "fewer than 1",
        "fewer than 1",
        "50",
        "more than 99",
        "more than 99",
    ]
    assert interval({"low": 0.025, "high": 1.0}) == "2–100"
    assert interval({"low": 0.715, "high": 0.042}) == "71–5"
    assert interval({"low": 0.29, "high": 0.57}) == "29–57"  # 100 * 0.29 is below 29
