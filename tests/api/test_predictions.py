"""Readings over the API: requested, awaited, finished."""

from __future__ import annotations

import pytest

from ml import reader
from ml.diagnoses import Diagnosis
from screening.models import Prediction
from screening.predictions import queue
from screening.predictions.advice import DISCLAIMER
from tests.api.conftest import pointers, upload
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory

PREDICTIONS = "/api/v1/predictions/"


def look(client, prediction):
    return client.get(f"{PREDICTIONS}{prediction.pk}/")


@pytest.mark.parametrize("state", ["queued", "running"])
def test_what_is_not_finished_says_when_to_look_again(clinician, lesion, state):
    prediction = PredictionFactory(image__lesion=lesion, **{state: True})
    response = look(clinician, prediction)
    assert response.status_code == 200
    assert response["Retry-After"] == "1"
    body = response.json()
    assert body["state"] == state
    empty = (
        "outcome model_outcome advice reason p_malignant probabilities balanced_probabilities "
        "weights_sha256 finished_at failure"
    )
    assert {name: body[name] for name in empty.split()} == dict.fromkeys(empty.split())


def test_a_failed_reading_says_why(clinician, lesion):
    response = look(clinician, PredictionFactory(image__lesion=lesion, failed=True))
    assert "Retry-After" not in response
    assert "could not be opened" in response.json()["failure"]
    assert response.json()["outcome"] is None


def test_a_real_reading_from_upload_to_result(clinician, lesion):
    location = upload(clinician, lesion)["Location"]
    queue.read(queue.claim(Prediction.objects.get().pk))
    response = clinician.get(location)
    assert "Retry-After" not in response
    body = response.json()
    assert body["state"] == "succeeded"
    assert body["outcome"] in ("urgent", "see_doctor", "monitor", "not_assessable")
    assert body["advice"]["title"]
    assert body["advice"]["text"]
    assert body["disclaimer"] == DISCLAIMER
    assert body["context"] == {"age": pytest.approx(66, abs=1), "sex": "female"} | {
        "localization": "back"
    }
    for name in ("probabilities", "balanced_probabilities"):
        assert list(body[name]) == [diagnosis.value for diagnosis in Diagnosis]
        assert sum(body[name].values()) == pytest.approx(1)
    assert body["model_version"] == reader.DEFAULT_VERSION
    assert len(body["weights_sha256"]) == 64
    assert body["started_at"] <= body["finished_at"]


def test_a_symptom_changes_what_is_told_and_not_what_was_read(clinician, lesion):
    prediction = PredictionFactory(
        image__lesion=LesionFactory(patient=lesion.patient, bleeding=True),
        outcome="monitor",
        model_version=reader.DEFAULT_VERSION,
    )
    body = look(clinician, prediction).json()
    assert (body["outcome"], body["model_outcome"]) == ("see_doctor", "monitor")
    assert "bleeding" in " ".join(body["advice"]["text"])


def test_a_remark_is_a_word_and_told_in_the_advice(clinician, lesion):
    prediction = PredictionFactory(
        image__lesion=lesion, outcome="urgent", remarks=["lesion_cut_off", "blurred"]
    )
    body = look(clinician, prediction).json()
    assert body["remarks"] == ["lesion_cut_off", "blurred"]
    assert body["reason"] is None
    assert "The picture is blurred." in " ".join(body["advice"]["text"])


def test_not_assessable_is_a_normal_answer(clinician, lesion):
    prediction = PredictionFactory(
        image__lesion=lesion, outcome="not_assessable", reason="blurred", context={}
    )
    response = look(clinician, prediction)
    assert response.status_code == 200
    assert response.json()["reason"] == "blurred"
    assert response.json()["context"] is None
    assert "not an all-clear" in " ".join(response.json()["advice"]["text"])


def test_an_image_is_read_again_on_request(clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    PredictionFactory(image=image, failed=True)
    response = clinician.post(PREDICTIONS, {"image": str(image.pk)})
    assert response.status_code == 202
    assert response["Location"] == response.json()["url"]
    assert response["Retry-After"] == "1"
    assert response.json()["state"] == "queued"
    assert image.predictions.count() == 2


def test_what_waits_already_is_not_queued_twice(clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    first = clinician.post(PREDICTIONS, {"image": str(image.pk)})
    again = clinician.post(PREDICTIONS, {"image": str(image.pk)})
    assert (again.status_code, again["Location"]) == (202, first["Location"])
    assert Prediction.objects.count() == 1


def test_a_viewer_asks_for_no_reading(personas, client_of, lesion):
    image = LesionImageFactory(lesion=lesion)
    response = client_of(personas.viewer).post(PREDICTIONS, {"image": str(image.pk)})
    assert response.status_code == 403


def test_an_image_of_others_cannot_be_read(personas, client_of, lesion):
    image = LesionImageFactory(lesion=lesion)
    response = client_of(personas.colleague).post(PREDICTIONS, {"image": str(image.pk)})
    assert response.status_code == 400
    assert set(pointers(response)) == {"/image"}


def test_a_reading_is_never_changed(clinician, lesion):
    prediction = PredictionFactory(image__lesion=lesion)
    url = f"{PREDICTIONS}{prediction.pk}/"
    for method in ("put", "patch", "delete"):
        assert getattr(clinician, method)(url, {"outcome": "monitor"}).status_code == 405
