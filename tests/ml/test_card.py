"""The shipped card: complete, plausible, and consistent with the shipped network."""

import json

import pytest

from ml import reader
from ml.diagnoses import Diagnosis
from ml.evaluation import card as card_text
from ml.evaluation import fit_thresholds
from ml.inference.litert import Network
from ml.inference.look import Rules, look
from ml.training import data
from ml.types import LOCALIZATIONS

NEEDED = (
    *("name", "version", "date", "developer", "licence", "weights_sha256"),
    *("intended_use", "out_of_scope", "known_limitations", "inputs", "outputs"),
    *("architecture", "preprocessing", "training", "split", "data_summary"),
    *("temperature", "prior", "thresholds", "thresholds_version", "thresholds_chosen"),
    *("figures", "gate", "isic2017"),
)
NAMES = [diagnosis.value for diagnosis in Diagnosis]


@pytest.fixture
def card():
    return reader.card()


@pytest.fixture
def figures(card):
    return card["figures"]["with_95_percent_intervals"]


def test_the_card_says_what_a_reader_needs(card):
    for key in NEEDED:
        assert card[key], key
    assert "not a medical device" in card["intended_use"]
    licences = {source["name"]: source["licence"] for source in card["training"]["data"]}
    assert licences["HAM10000"] == "CC BY-NC 4.0"


def test_the_card_says_where_the_network_came_from_and_who_taught_it(card):
    recipe = card["training"]["recipe"]
    assert card["architecture"] == card_text._architecture(recipe)
    assert "started from 2026.11.5;" in card["architecture"]["backbone"]
    assert "mean of the trained ones and those of 2026.11.5" in card["architecture"]["backbone"]
    assert "earlier networks" not in card["architecture"]["loss"]
    assert "up to 20 % of the images" in card["training"]["augmentation"]
    taught = reader.card("2026.11.4")
    assert "(2026.11.2, 2026.11.3)" in taught["architecture"]["loss"]
    plain = card_text._architecture({**recipe, "start": "", "mean_with": ""})
    assert "started from ImageNet;" in plain["backbone"]
    assert "mean" not in plain["backbone"]


def test_the_figures_are_plausible(card, figures):
    assert figures["balanced_accuracy_balanced"]["value"] >= 0.7
    assert figures["macro_auc_calibrated"]["value"] >= 0.95
    assert figures["see_doctor/malignant_sensitivity"]["value"] >= 0.85
    assert figures["expected_calibration_error"]["value"] <= 0.1
    assert card["keras_litert_max_difference"] <= 1e-4
    assert sum(card["prior"].values()) == pytest.approx(1, abs=1e-4)
    for name, figure in figures.items():
        top = 100 if "per_100" in name else 1
        assert 0 <= figure["low"] <= figure["high"] <= top, name
        assert figure["value"] <= figure["high"], name
        # Resampling adds noise, which a calibration error counts as error, so its interval is high.
        assert figure["low"] <= figure["value"] or name == "expected_calibration_error", name


def test_the_thresholds_are_in_order(card):
    thresholds = card["thresholds"]
    assert 0 < thresholds["see_doctor"] < thresholds["urgent"] < 1
    assert thresholds["see_doctor"] < thresholds["urgent_mel"] < 1
    assert 0 < card["gate"]["floor"] <= card["gate"]["threshold"] < 1
    assert "image" in card["decided_on"]


def test_the_thresholds_before_stay_in_sight():
    card = reader.card("2026.11.4")
    (before,) = card["thresholds_history"]
    assert before["thresholds_version"] == "t-98f2057a" != card["thresholds_version"]
    assert before["thresholds"]["see_doctor_mel"] == pytest.approx(0.0105, abs=1e-4)


@pytest.mark.parametrize("source", ["HAM10000", "ISIC2017", "MILK10K"])
def test_each_source_keeps_what_the_rules_ask_of_its_tune_part(card, source):
    tune = card["tune"][source]
    assert tune["with_95_percent_intervals"]["cancers_told"]["value"] >= 0.96
    assert tune["context_unknown"]["cancers_told"] >= 0.96
    assert tune["with_95_percent_intervals"]["refused"]["value"] <= 0.05
    assert card["sources"][source]["with_95_percent_intervals"]["refused"]["value"] <= 0.03


@pytest.mark.parametrize("version", reader.readable())
def test_the_sources_keep_in_the_mean_what_the_rules_ask(version):
    told = [
        share
        for one in reader.card(version)["tune"].values()
        for share in (
            one["with_95_percent_intervals"]["cancers_told"]["value"],
            one["context_unknown"]["cancers_told"],
        )
    ]
    assert len(told) == 6
    assert sum(told) / 6 >= fit_thresholds.MEAN_SENSITIVITY


def test_the_gate_turns_away_what_is_outside_and_little_else(card):
    assert card["gate"]["dermatoscopy_rejected"] <= 0.03
    for judged in (*card["tune"].values(), *card["sources"].values()):
        assert "no_colour" not in judged["faults"]
    assert card["gate"]["outside_rejected"]["natural"] >= 0.95
    assert set(card["gate"]["kinds_never_trained_on"]) <= set(card["gate"]["outside_rejected"])


def test_the_counts_agree(card):
    summary, figures = card["data_summary"], card["figures"]
    assert sum(summary["images_per_class"].values()) == summary["images"]
    assert list(summary["images_per_class"]) == NAMES
    assert sum(summary["images_per_localization"].values()) == summary["images"]
    assert set(summary["images_per_localization"]) == {*LOCALIZATIONS, "unknown"}
    assert sum(card["split"]["images"]["ham10000"].values()) == summary["images"]
    assert card["split"]["images"]["ham10000"]["test"] == figures["images"]
    for table in ("confusion_balanced", "confusion_calibrated"):
        rows = [sum(row) for row in figures[table]]
        assert rows == list(figures["images_per_class"].values())


def test_the_card_is_plain_json():
    text = (reader.ARTIFACTS / reader.DEFAULT_VERSION / "card.json").read_text(encoding="utf-8")

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    json.loads(text, parse_constant=refuse)
    assert "/work" not in text


def test_stated_sensitivities_come_out_again(ham10000, card, figures):
    """All test images of the three rarest diagnoses, read again. The figures are of whole frames,
    whatever is told of a part.
    """
    network = Network(reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.tflite")
    floor = Rules.of(card).floor
    test = data.load_ham10000(ham10000).part(data.Part.TEST)
    for label, dx in enumerate(Diagnosis):
        if dx not in (Diagnosis.AKIEC, Diagnosis.DF, Diagnosis.VASC):
            continue
        own = [row for row in range(len(test)) if test.labels[row] == label]
        assert len(own) == card["figures"]["images_per_class"][dx]
        seen = [look(network, test.pixels[row], test.known[row], floor).seen for row in own]
        right = sum(one.logits.argmax() == label for one in seen)
        stated = figures[f"classes/{dx}/sensitivity"]["value"]
        assert right / len(own) == pytest.approx(stated, abs=1e-4), dx
