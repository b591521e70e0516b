"""Readers of maps and pictures that do not open say what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from django.urls import reverse

from screening.comparisons import follow_up
from screening.exports import archive
from screening.interop.dicom import uids
from screening.models import Comparison, LesionImage, Measurement, Setback
from screening.models.data_key import forget_opened
from screening.predictions import ugly_duckling
from tests.clients import Browser
from tests.factories import (
    ExportFactory,
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    PredictionMapsFactory,
)
from tests.spoiled import KEY, RAISED, Spoil, damaged, destroyed, locked, spoil_maps

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keys(settings: Any) -> Iterator[None]:
    settings.ENCRYPTION_KEYS = [*settings.ENCRYPTION_KEYS, KEY]
    forget_opened()
    yield
    forget_opened()


@pytest.fixture
def image(personas: Any) -> LesionImage:
    lesion = LesionFactory(patient=personas.patient)
    found = LesionImageFactory(lesion=lesion)
    PredictionMapsFactory(prediction=PredictionFactory(image=found, outcome="monitor"))
    return found


@pytest.fixture
def browser(personas: Any) -> Browser:
    client = Browser()
    client.force_login(personas.clinician)
    return client


@pytest.mark.parametrize("how", RAISED)
def test_pages_and_programs_say_what_is_missing(
    how: Spoil, image: LesionImage, browser: Browser
) -> None:
    spoil_maps(how)
    prediction = image.predictions.get().pk
    told = browser.get(reverse("image", args=[image.pk]))
    assert told.context["finished"].outcome == "monitor"
    assert "cannot be opened. Its outcome stands" in told.content.decode()
    editor = browser.get(reverse("image_outline", args=[image.pk])).content.decode()
    assert "outline cannot be opened" in editor
    body = browser.get(reverse("api:prediction-detail", args=[prediction])).json()
    assert (body["outcome"], body["mask"], body["maps_unreadable"]) == ("monitor", None, True)
    browser.raise_request_exception = False
    for name in ("api:prediction-maps", "api:prediction-mask"):
        problem = browser.get(reverse(name, args=[prediction]))
        assert problem.status_code == (503 if how is locked else 404)
        assert how is locked or "cannot be opened" in problem.json()["detail"]


def test_whole_maps_are_not_called_unreadable(image: LesionImage, browser: Browser) -> None:
    url = reverse("api:prediction-detail", args=[image.predictions.get().pk])
    assert browser.get(url).json()["maps_unreadable"] is False
    page = browser.get(reverse("image", args=[image.pk])).content.decode()
    assert "cannot be opened" not in page


@pytest.mark.parametrize("how", [damaged, destroyed])
def test_a_damaged_mask_ends_the_measuring_and_stops_no_comparison(
    how: Spoil, image: LesionImage
) -> None:
    LesionImageFactory(lesion=image.lesion)
    spoil_maps(how)
    follow_up.follow_up(image.pk)
    assert "cannot be opened" in Measurement.objects.get(image=image).failure
    assert Comparison.objects.filter(later__lesion=image.lesion).exists()
    assert not Setback.objects.exists()


def test_measuring_waits_for_a_key(image: LesionImage) -> None:
    spoil_maps(locked)
    follow_up.follow_up(image.pk)
    assert not Measurement.objects.exists()
    assert Setback.objects.get().image == image


def test_features_that_do_not_open_are_left_out_of_the_ranking(personas: Any) -> None:
    lesions = [LesionFactory(patient=personas.patient) for _ in range(6)]
    maps = [
        PredictionMapsFactory(
            prediction=PredictionFactory(image=LesionImageFactory(lesion=one), outcome="monitor"),
            features=np.full(4, n + 1, np.float16).tobytes(),
        )
        for n, one in enumerate(lesions)
    ]
    spoil_maps(damaged, of=maps[0].prediction_id)
    found = ugly_duckling.ranking(personas.patient, lesions, personas.clinician)
    assert found is not None
    assert len(found.lesions) == 5
    assert "cannot be opened: 1." in found.statement


def test_an_export_names_what_it_could_not_read(personas: Any, image: LesionImage) -> None:
    lost = image.predictions.get().maps
    whole = PredictionMapsFactory(
        prediction=PredictionFactory(
            image=LesionImageFactory(lesion=image.lesion), outcome="monitor"
        )
    )
    spoil_maps(damaged, of=lost.prediction_id)
    export = ExportFactory(patient=personas.patient, requested_by=personas.admin)
    file = BytesIO()
    archive.write(archive.plan(export), file, lambda: None)
    with ZipFile(file) as archived:
        manifest = json.loads(archived.read("manifest.json"))
        rows = archived.read("records/maps.jsonl").decode()
    assert f"records/maps/{lost.pk}" in manifest["missing"]
    assert str(lost.pk) not in rows
    assert str(whole.pk) in rows


def test_dicomweb_tells_what_is_left_out_before_the_first_byte(
    image: LesionImage, browser: Browser, settings: Any
) -> None:
    other = LesionImageFactory(lesion=image.lesion, captured_on=image.captured_on)
    uid = uids.study_uid(image.lesion.patient_id, image.captured_on)
    study = reverse("dicomweb:study", args=[uid])
    parts = b"".join(browser.get(study).streaming_content).count(b"Content-Type")
    (Path(settings.MEDIA_ROOT) / str(other.file.name)).unlink()
    spoil_maps(damaged)
    for url in (study, f"{study}/metadata"):
        answer = browser.get(url)
        assert '"What is stored of 2 of these instances' in answer["Warning"]
    left = b"".join(browser.get(study).streaming_content).count(b"Content-Type")
    assert left == parts - 2
