"""From picture to reading in one call: base64, waiting for the result, and the full prediction."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from io import BytesIO

import numpy as np
import pytest
from django.db import connection
from PIL import Image

from screening.api.http import waiting
from screening.models import LesionImage, Prediction
from screening.predictions import queue
from tests import opencv
from tests.api.conftest import pointers, upload
from tests.factories import PredictionFactory, PredictionMapsFactory, picture

IMAGES, PREDICTIONS = "/api/v1/images/", "/api/v1/predictions/"


def send(client, lesion, data: bytes | str | None = None, prefer: str = "", **fields):
    content = picture() if data is None else data
    file = content if isinstance(content, str) else b64encode(content).decode()
    headers = {"HTTP_PREFER": prefer} if prefer else {}
    return client.post(IMAGES, {"lesion": str(lesion.pk), "file": file, **fields}, **headers)


@pytest.fixture
def worker(monkeypatch):
    """Reads a waiting image as soon as someone sleeps for it."""
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert not connection.in_atomic_block or connection.savepoint_ids == slept_in
        with opencv.as_a_worker():
            for one in Prediction.objects.filter(state="queued"):
                queue.read(queue.claim(one.pk))

    slept_in = list(connection.savepoint_ids)
    monkeypatch.setattr(waiting.time, "sleep", sleep)
    return slept


def test_a_picture_in_base64(clinician, lesion):
    response = send(clinician, lesion, captured_on="2026-03-01")
    assert response.status_code == 202
    assert response["Location"].endswith(f"{PREDICTIONS}{Prediction.objects.get().pk}/")
    assert response.json()["captured_on"] == "2026-03-01"
    # The same bytes, sent the other way, are the same picture.
    assert upload(clinician, lesion).json()["id"] == response.json()["id"]


def test_a_large_picture_in_base64(clinician, lesion):
    """Over the limit for other bodies."""
    noise = np.random.default_rng(0).integers(0, 255, (700, 900, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    assert len(buffer.getvalue()) > 1_500_000
    assert send(clinician, lesion, buffer.getvalue()).status_code == 202


@pytest.mark.parametrize("file", ["", "%%%", "AAA", "é", 5, None, ["x"], "aGVsbG8="])
def test_what_is_no_picture_in_base64(clinician, lesion, file):
    response = clinician.post(IMAGES, {"lesion": str(lesion.pk), "file": file})
    assert response.status_code == 400
    assert set(pointers(response)) == {"/file"}
    assert not LesionImage.objects.exists()


def test_a_body_that_is_too_large_is_not_read(clinician):
    response = clinician.generic(
        "POST", IMAGES, b"{}", content_type="application/json", CONTENT_LENGTH=str(30_000_000)
    )
    assert response.status_code == 413
    assert "20 MB" in response.json()["detail"]


def test_whoever_waits_gets_the_result(clinician, lesion, worker):
    response = send(clinician, lesion, prefer="wait=10")
    assert response.status_code == 200
    assert response["Preference-Applied"] == "wait=10"
    assert "Retry-After" not in response
    assert response.json()["latest_prediction"]["state"] == "succeeded"
    assert response.json()["latest_prediction"]["probabilities"]["mel"] > 0
    assert len(worker) == 1


def test_a_second_reading_is_waited_for_too(clinician, lesion, worker):
    send(clinician, lesion, prefer="wait=10")
    image = str(LesionImage.objects.get().pk)
    response = clinician.post(PREDICTIONS, {"image": image}, HTTP_PREFER="respond-async, wait=5")
    assert response.status_code == 200
    assert response.json()["state"] == "succeeded"


def test_what_takes_longer_is_answered_in_time(clinician, lesion):
    started = time.monotonic()
    response = send(clinician, lesion, prefer="wait=1")
    assert 0.9 < time.monotonic() - started < 5
    assert response.status_code == 202
    assert response["Preference-Applied"] == "wait=1"
    assert response["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("wait=600", 20),
        ('foo; wait="3"', 3),
        ("return=minimal, WAIT = 7", 7),
        ("wait=0", 0),
        ("wait=-1", None),
        ("wait=x", None),
        ("await=5", None),
        ("", None),
    ],
)
def test_how_long_is_preferred(rf, header, seconds):
    assert waiting.preferred(rf.post("/", headers={"Prefer": header})) == seconds


def test_not_all_threads_wait(clinician, lesion, monkeypatch):
    monkeypatch.setattr(waiting, "_places", threading.BoundedSemaphore(1))
    waiting._places.acquire()
    response = send(clinician, lesion, prefer="wait=10")
    assert response.status_code == 202
    assert "Preference-Applied" not in response


def test_waiting_and_a_key_go_together(clinician, lesion, worker):
    headers = {"HTTP_IDEMPOTENCY_KEY": "k", "HTTP_PREFER": "wait=5"}
    body = {"lesion": str(lesion.pk), "file": b64encode(picture()).decode()}
    first, again = (clinician.post(IMAGES, body, **headers) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert again["Preference-Applied"] == "wait=5"


def test_a_prediction_tells_all(clinician, lesion):
    found = PredictionFactory(image__lesion=lesion, outcome="not_assessable", reason="blurred")
    PredictionMapsFactory(prediction=found)
    address = f"http://testserver{PREDICTIONS}{found.pk}/"
    body = clinician.get(address).json()
    assert body["mask"]["url"] == f"{address}mask/"
    assert (body["mask"]["width"], body["mask"]["height"]) == (200, 150)
    assert len(body["mask"]["outline"]) > 8
    assert body["maps_url"] == f"{address}maps/"
    assert body["measures"] is None
    assert body["reason"] == "blurred"
    for name in ("probabilities", "balanced_probabilities", "context_terms", "thresholds_version"):
        assert body[name], name
    row = clinician.get(PREDICTIONS).json()["results"][0]
    assert "mask" not in row


def test_a_prediction_without_maps(clinician, lesion):
    found = PredictionFactory(image__lesion=lesion, queued=True)
    body = clinician.get(f"{PREDICTIONS}{found.pk}/").json()
    assert body["mask"] is body["maps_url"] is body["measures"] is None


def test_measures_come_with_it_once_taken(clinician, lesion, worker):
    from screening.measurements import services as measurement_services
    from screening.models import Measurement

    found = PredictionFactory(image__lesion=lesion, outcome="monitor", model_version="test-1")
    PredictionMapsFactory(prediction=found)
    assert measurement_services.measure_image(found.image)
    values = Measurement.objects.get().values
    measures = clinician.get(f"{PREDICTIONS}{found.pk}/").json()["measures"]
    assert measures["area_share"] == pytest.approx(values["area_share"])
    assert measures["area_mm2"] is None
