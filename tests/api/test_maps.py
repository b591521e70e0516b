"""Where a prediction found evidence, over the API: numbers that add up, or the reason for none."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ml.diagnoses import Diagnosis
from screening.api import maps
from screening.models import Prediction
from screening.predictions import queue
from tests.api.conftest import upload
from tests.factories import PredictionFactory, PredictionMapsFactory

PREDICTIONS = "/api/v1/predictions/"


def address(prediction, what):
    return f"{PREDICTIONS}{prediction.pk}/{what}/"


@pytest.fixture
def mapped(lesion):
    return PredictionMapsFactory(prediction__image__lesion=lesion).prediction


def test_a_real_readings_maps_add_up_to_its_logits(clinician, lesion):
    upload(clinician, lesion)
    prediction = Prediction.objects.get()
    queue.read(queue.claim(prediction.pk))
    body = clinician.get(address(prediction, "maps")).json()
    logits = clinician.get(f"{PREDICTIONS}{prediction.pk}/").json()["image_logits"]
    assert list(body["evidence"]) == [diagnosis.value for diagnosis in Diagnosis]
    for code, rows in body["evidence"].items():
        assert np.array(rows).shape == (15, 20)
        assert np.sum(rows) + body["bias"][code] == pytest.approx(logits[code], abs=2e-3)
    assert body["evidence_cell"] * 20 == body["mask_width"]
    assert np.shape(body["outline"])[1] == 2


def test_outline_and_mask_are_of_the_same_lesion(clinician, mapped):
    body = clinician.get(address(mapped, "maps")).json()
    response = clinician.get(body["mask_url"])
    mask = np.asarray(Image.open(BytesIO(response.content)))
    assert mask.shape == (body["mask_height"], body["mask_width"])
    rows, columns = np.nonzero(mask)
    x, y = np.array(body["outline"]).T
    assert x.min() == pytest.approx(columns.min() / mask.shape[1], abs=0.005)
    assert y.max() == pytest.approx((rows.max() + 1) / mask.shape[0], abs=0.005)


def test_a_mask_is_kept_by_its_reader_and_by_nobody_between(clinician, mapped):
    response = clinician.get(address(mapped, "mask"), HTTP_ACCEPT="image/png,image/*")
    assert response["Content-Type"] == "image/png"
    assert response["Cache-Control"] == "private, no-cache"
    again = clinician.get(address(mapped, "mask"), HTTP_IF_NONE_MATCH=response["ETag"])
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(("outcome", "assessable"), [("monitor", True), ("not_assessable", False)])
def test_numbers_outside_the_models_scope_are_marked(clinician, lesion, outcome, assessable):
    found = PredictionMapsFactory(prediction__image__lesion=lesion, prediction__outcome=outcome)
    body = clinician.get(address(found.prediction, "maps")).json()
    assert body["assessable"] is assessable


@pytest.mark.parametrize("what", ["maps", "mask"])
@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"queued": True}, maps.NOT_FINISHED),
        ({"failed": True}, maps.FAILED),
        ({"outcome": "not_assessable", "image__modality": "clinical"}, maps.CLINICAL),
        ({}, maps.OLDER),
    ],
)
def test_why_there_are_none(clinician, lesion, what, fields, detail):
    response = clinician.get(address(PredictionFactory(image__lesion=lesion, **fields), what))
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    assert (response.json()["type"], response.json()["detail"]) == ("/problems/not-found", detail)


@pytest.mark.parametrize("what", ["maps", "mask"])
def test_others_are_not_told_why(personas, client_of, lesion, what):
    for prediction in (
        PredictionFactory(image__lesion=lesion),
        PredictionMapsFactory(prediction__image__lesion=lesion).prediction,
    ):
        response = client_of(personas.colleague).get(address(prediction, what))
        assert response.status_code == 404
        assert "not for you to see" in response.json()["detail"]


def test_no_list_loads_maps(clinician, mapped, django_assert_max_num_queries):
    for url in (PREDICTIONS, "/api/v1/images/"):
        with django_assert_max_num_queries(12) as asked:
            assert "evidence" not in clinician.get(url).content.decode()
        assert asked.captured_queries
        assert not [q for q in asked.captured_queries if "predictionmaps" in q["sql"]]
