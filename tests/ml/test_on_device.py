"""What is given to a reading outside Python is all from the card and this package."""

from __future__ import annotations

import json

from ml import on_device, reader
from ml.diagnoses import Diagnosis
from ml.inference import quality, regions, views


def test_it_is_json_and_says_what_the_card_says() -> None:
    card = reader.card()
    rules = json.loads(json.dumps(on_device.rules_of(card)))
    assert rules["version"] == reader.DEFAULT_VERSION
    assert dict(zip(rules["diagnoses"], rules["prior"], strict=True)) == card["prior"]
    assert rules["temperature"] == card["temperature"]
    assert rules["thresholds"] == card["thresholds"]
    assert (rules["gate"], rules["floor"]) == (card["gate"]["threshold"], card["gate"]["floor"])
    assert [rules["diagnoses"][n] for n in rules["malignant"]] == [
        one.value for one in Diagnosis if one.about.malignant
    ]


def test_no_number_of_the_rooms_is_left_out() -> None:
    rules = on_device.rules_of(reader.card())
    assert rules["quality"]["least_detail"] == quality.LEAST_DETAIL
    assert rules["regions"]["off_centre"] == regions.OFF_CENTRE
    assert rules["views"]["short_side"] == views.SHORT_SIDE
    assert len(rules["views"]["all"]) == len(views.VIEWS)
