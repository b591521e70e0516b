"""Cases confirmed by histology beside a reading: for clinicians alone, and of its version."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from django.contrib.staticfiles import finders
from PIL import Image

from ml import cases, reader
from ml.diagnoses import Diagnosis
from screening.predictions import similar_cases
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    PredictionMapsFactory,
)

STORED = np.load(reader.ARTIFACTS / reader.DEFAULT_VERSION / cases.FEATURES)
ROW = 100


def read(image, row, **fields):
    """A reading of the image whose features are those of a case."""
    prediction = PredictionFactory(image=image, model_version=reader.DEFAULT_VERSION, **fields)
    PredictionMapsFactory(prediction=prediction, features=STORED[row].tobytes())


def test_the_library_is_whole():
    known = cases.cases()
    assert len(known) == len({case.image_id for case in known})
    for version in reader.readable():
        assert len(np.load(reader.ARTIFACTS / version / cases.FEATURES)) == len(known)
        assert reader.card(version)["similar_cases"]["cases"] == len(known)
    assert {case.dx for case in known} == set(Diagnosis)
    assert np.linalg.norm(STORED.astype(float), axis=1) == pytest.approx(1, abs=2e-3)
    size = 0
    for case in known:
        file = Path(finders.find(case.picture))
        size += file.stat().st_size
        with Image.open(file) as picture:
            assert picture.size == (160, 120)
            assert not picture.info.get("exif")
    assert size < 4_000_000
    folder = Path(finders.find(known[0].picture)).parent
    assert {file.stem for file in folder.iterdir()} == {case.image_id for case in known}


def test_every_source_is_attributed():
    assert {case.source for case in cases.cases()} == set(cases.ATTRIBUTIONS)


@pytest.mark.parametrize("row", [0, 100, len(STORED) - 1])
def test_a_case_resembles_itself_most(row):
    found = cases.nearest(reader.DEFAULT_VERSION, 3 * STORED[row].astype(np.float32), 5)
    assert found[0][0] == cases.cases()[row]
    assert found[0][1] == pytest.approx(1, abs=2e-3)
    likeness = [alike for _, alike in found]
    assert likeness == sorted(likeness, reverse=True)
    assert len(found) == 5


def test_a_version_without_a_library_has_none():
    assert cases.nearest("2026.11.4", STORED[0].astype(np.float32), 5) == []


@pytest.mark.django_db
def test_the_reading_without_features_has_none():
    maps = PredictionMapsFactory(features=None)
    assert similar_cases.similar(maps, reader.DEFAULT_VERSION) is None


def page(client, user, patient):
    """The result of a picture that looks like a case, for this user."""
    image = LesionImageFactory(lesion=LesionFactory(patient=patient))
    read(image, ROW, outcome="see_doctor")
    client.force_login(user)
    response = client.get(f"/images/{image.pk}/")
    assert response.status_code == 200
    assert "Details" in response.text
    return response.text


def test_a_clinician_sees_them_with_their_histology(client, personas):
    text = page(client, personas.clinician, personas.patient)
    case = cases.cases()[ROW]
    assert case.image_id in text
    assert case.dx.about.title in text
    assert text.count("static/cases/") == similar_cases.COUNT
    assert "Likeness proves nothing" in text


@pytest.mark.parametrize("who", ["viewer", "assistant"])
def test_who_does_not_conclude_does_not_see_them(client, personas, who):
    assert "cases/" not in page(client, getattr(personas, who), personas.patient)


def test_a_person_does_not_see_them(client, personas):
    assert "cases/" not in page(client, personas.self_tracker, personas.own_patient)


def test_no_case_is_of_a_part_that_judges(shared_data):
    from ml.training.data import Part, part_of, rows_of

    lesions = {row["image_id"]: row["lesion_id"] for row in rows_of(shared_data / "ham10000")}
    for row in rows_of(shared_data / "milk10k"):
        same = [lesions[name] for name in row["also"].split() if name in lesions]
        lesions[row["image_id"]] = min(same, default=row["lesion_id"])
    with cases.FILE.open(newline="", encoding="utf-8") as opened:
        for row in csv.DictReader(opened):
            assert part_of(lesions.get(row["image_id"], row["image_id"])) is Part.TRAIN
