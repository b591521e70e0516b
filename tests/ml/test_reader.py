"""The contract of the reader, with the shipped model."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from ml import reader as room
from ml.diagnoses import MALIGNANT, Diagnosis
from ml.opening.pictures import open_image
from ml.outcome import decide
from ml.types import NotAssessable, Outcome, PatientContext
from tests.ml.conftest import draw_lesion

NAMES = [diagnosis.value for diagnosis in Diagnosis]
CONTEXT = PatientContext(62.0, "male", "back")


@pytest.fixture
def artifacts(tmp_path, monkeypatch):
    """A copy of the shipped artefact that a test may damage."""
    shutil.copytree(room.ARTIFACTS / room.DEFAULT_VERSION, tmp_path / room.DEFAULT_VERSION)
    monkeypatch.setattr(room, "ARTIFACTS", tmp_path)
    room.card.cache_clear()
    yield tmp_path
    room.card.cache_clear()


def test_a_reading_is_complete(reader, lesion):
    reading = reader.read(lesion, CONTEXT)
    assert list(reading.probabilities) == list(reading.balanced_probabilities) == NAMES
    assert sum(reading.probabilities.values()) == pytest.approx(1)
    assert sum(reading.balanced_probabilities.values()) == pytest.approx(1)
    malignant = sum(reading.probabilities[name] for name in MALIGNANT)
    assert reading.p_malignant == pytest.approx(malignant)
    assert 0 <= reading.in_distribution <= 1
    assert reading.thresholds_version == reader.card["thresholds_version"]
    assert reading.duration_ms > 0
    json.dumps([reading.probabilities, reading.context_terms, reading.image_logits])


@pytest.mark.parametrize("version", room.readable())
def test_older_versions_read_on_at_the_size_they_were_exported_for(version, lesion):
    reading = room.load(version).read(lesion, CONTEXT)
    assert reading.mask.any()
    assert sum(reading.probabilities.values()) == pytest.approx(1)


def test_a_version_of_which_only_the_card_is_kept_says_so():
    kept, cards = room.readable(), room.versions()
    assert room.DEFAULT_VERSION == kept[-1] == cards[-1]
    assert len(kept) <= 2
    for version in set(cards) - set(kept):
        assert room.card(version)["weights_sha256"]
        with pytest.raises(room.ModelUnavailable, match=f"{version} is missing; only its card"):
            room.load(version)


def test_image_and_context_add_up_to_the_balanced_reading(reader, lesion):
    reading = reader.read(lesion, CONTEXT)
    logits = np.array(
        [
            reading.image_logits[name] + sum(term[name] for term in reading.context_terms.values())
            for name in NAMES
        ]
    )
    powers = np.exp(logits - logits.max())
    expected = list(reading.balanced_probabilities.values())
    assert powers / powers.sum() == pytest.approx(expected, abs=1e-6)


def test_missing_context_adds_exactly_zero(reader, lesion):
    known, unknown = reader.read(lesion, CONTEXT), reader.read(lesion, PatientContext())
    assert list(unknown.context_terms) == ["age", "sex", "localization"]
    assert all(value == 0 for term in unknown.context_terms.values() for value in term.values())
    assert unknown.image_logits == pytest.approx(known.image_logits, abs=1e-5)
    assert all(any(term.values()) for term in known.context_terms.values())


def test_one_field_changes_only_its_own_term(reader, lesion):
    older = PatientContext(80.0, CONTEXT.sex, CONTEXT.localization)
    first, second = reader.read(lesion, CONTEXT), reader.read(lesion, older)
    assert first.context_terms["age"] != second.context_terms["age"]
    assert first.context_terms["sex"] == second.context_terms["sex"]
    assert first.context_terms["localization"] == second.context_terms["localization"]


def test_what_is_no_dermatoscopy_gets_numbers_but_no_outcome(reader):
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    reading = reader.read(noise, PatientContext())
    assert reading.outcome is Outcome.NOT_ASSESSABLE
    assert reading.reason == NotAssessable.NOT_DERMATOSCOPIC
    assert sum(reading.probabilities.values()) == pytest.approx(1)


def test_a_fault_of_quality_is_named(reader):
    reading = reader.read(draw_lesion(20, 25), PatientContext())
    assert NotAssessable.TOO_SMALL in (reading.reason, *reading.remarks)
    assert reading.outcome is not Outcome.MONITOR


def test_the_same_image_reads_the_same(reader, lesion):
    first, second = reader.read(lesion, CONTEXT), reader.read(lesion, CONTEXT)
    assert first.probabilities == second.probabilities


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
    ],
)
def test_anything_but_rgb_bytes_is_refused(reader, pixels):
    with pytest.raises(ValueError, match="RGB"):
        reader.read(pixels, PatientContext())


def test_real_images_get_the_outcome_of_their_probabilities(reader, ham10000):
    files = sorted((ham10000 / "images_200x150").glob("*.jpg"))[:20]
    readings = [reader.read(open_image(file), PatientContext()) for file in files]
    assessed = [reading for reading in readings if not reading.reason]
    assert len(assessed) >= 18
    for reading in assessed:
        if NotAssessable.MORE_THAN_ONE_LESION not in reading.remarks:
            assert reading.outcome is decide(reading.probabilities, reader.card["thresholds"])


def test_the_versions_and_their_card():
    assert room.DEFAULT_VERSION in room.versions()
    assert room.card()["version"] == room.DEFAULT_VERSION
    assert room.load() is room.load()
    assert room.load().weights_sha256 == room.card()["weights_sha256"]


def test_a_changed_network_is_not_loaded(artifacts):
    file = artifacts / room.DEFAULT_VERSION / "model.tflite"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(room.ModelUnavailable, match="not its card's"):
        room.Reader(room.DEFAULT_VERSION)


def test_a_missing_network_is_not_loaded(artifacts):
    (artifacts / room.DEFAULT_VERSION / "model.tflite").unlink()
    with pytest.raises(room.ModelUnavailable, match="missing"):
        room.Reader(room.DEFAULT_VERSION)


def test_a_damaged_card_is_said(artifacts):
    (artifacts / room.DEFAULT_VERSION / "card.json").write_text("{")
    with pytest.raises(room.ModelUnavailable, match="damaged"):
        room.card(room.DEFAULT_VERSION)


def test_an_unknown_version_is_said():
    with pytest.raises(room.ModelUnavailable, match="1999"):
        room.load("1999.1")


def test_reading_never_imports_tensorflow():
    program = (
        "import sys, numpy, ml.__main__, ml.predict, ml.reader as r, ml.types as t;"
        "r.load().read(numpy.zeros((200, 200, 3), numpy.uint8), t.PatientContext());"
        "print(sorted({'tensorflow', 'keras', 'django'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=room.ARTIFACTS.parents[1],
    )
    assert done.stdout.strip() == "[]"
