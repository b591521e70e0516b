"""Measurements, scales and outlines over the API."""

from __future__ import annotations

import pytest

from screening.measurements import services as measurement_services
from screening.models import ImageScale, Measurement, Outline
from screening.predictions.queries import latest_prediction
from tests.api.conftest import pointers
from tests.factories import (
    LesionImageFactory,
    MeasurementFactory,
    OutlineFactory,
    PredictionFactory,
    PredictionMapsFactory,
)

API = "/api/v1/"
LENGTHS = ("longest_diameter", "shortest_diameter", "perimeter")


@pytest.fixture
def image(lesion):
    reading = PredictionFactory(image=LesionImageFactory(lesion=lesion))
    PredictionMapsFactory(prediction=reading)
    return reading.image


def post(client, path, **body):
    return client.post(f"{API}{path}/", body, format="json")


def test_millimetres_are_null_until_there_is_a_scale(clinician, image):
    measurement_services.measure_image(image)
    (found,) = clinician.get(f"{API}measurements/", {"image": image.pk}).json()["results"]
    assert found["area_px"] == pytest.approx(3.14159 * 45**2, rel=0.05)
    assert found["area_mm2"] is None
    assert [found[f"{name}_mm"] for name in LENGTHS] == [None] * 3
    response = post(
        clinician, "scales", image=str(image.pk), source="pixel_spacing", mm_per_pixel=0.05
    )
    assert response.status_code == 201, response.content
    assert response.json()["set_by"] == ImageScale.objects.get().set_by.email
    (found,) = clinician.get(f"{API}measurements/", {"image": image.pk}).json()["results"]
    assert found["area_mm2"] == pytest.approx(found["area_px"] * 0.05**2)
    for name in LENGTHS:
        assert found[f"{name}_mm"] == pytest.approx(found[f"{name}_px"] * 0.05)


def test_the_newest_scale_stands(clinician, image):
    MeasurementFactory(image=image)
    for size in (0.1, 0.02):
        post(clinician, "scales", image=str(image.pk), source="ruler", mm_per_pixel=size)
    (found,) = clinician.get(f"{API}measurements/").json()["results"]
    assert found["longest_diameter_mm"] == pytest.approx(70 * 0.02)


def test_what_could_not_be_measured_says_why(clinician, lesion):
    MeasurementFactory(image__lesion=lesion, values={}, failure="Too little.")
    (found,) = clinician.get(f"{API}measurements/", {"lesion": lesion.pk}).json()["results"]
    assert found["failure"] == "Too little."
    for name in ("area_px", "area_mm2", "colours", "centre", "touches_border", "ita_degrees"):
        assert found[name] is None
    assert found["colours_present"] == []


@pytest.mark.parametrize("size", [0, -0.1, 1.5])
def test_a_pixel_has_a_plausible_size(clinician, image, size):
    response = post(clinician, "scales", image=str(image.pk), source="ruler", mm_per_pixel=size)
    assert response.status_code == 400
    assert not ImageScale.objects.exists()


def test_an_outline_is_a_new_version_and_is_measured(clinician, image):
    measurement_services.measure_image(image)
    points = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
    response = post(clinician, "outlines", image=str(image.pk), points=points)
    assert response.status_code == 201, response.content
    assert response.json()["points"] == points
    measurement_services.measure_image(image)  # as a worker does
    newest, older = clinician.get(f"{API}measurements/", {"image": image.pk}).json()["results"]
    assert newest["outline"] == response.json()["id"]
    assert newest["area_share"] == pytest.approx(0.25, abs=0.01)
    assert older["prediction"] == str(latest_prediction(image).pk)
    listed = clinician.get(f"{API}outlines/", {"image": image.pk}).json()["results"]
    assert [one["id"] for one in listed] == [response.json()["id"]]


def test_an_outline_sent_with_a_key_is_drawn_once(clinician, image):
    body = {"image": str(image.pk), "points": [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75]]}
    key = {"HTTP_IDEMPOTENCY_KEY": "draw"}
    first, again = (clinician.post(f"{API}outlines/", body, format="json", **key) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json()["id"] == again.json()["id"]
    assert image.outlines.count() == 1


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]], "crosses itself"),
        ([[0.1, 0.1], [0.9, 0.9]], "3 to 200 points"),
        ([[0.1, 0.1], [0.9, 0.9], [1.2, 0.1]], "leaves the picture"),
        ([[0.1, 0.1], [0.9], [0.2, 0.1]], "at least 2"),
    ],
)
def test_an_outline_that_encloses_nothing_is_refused(clinician, image, points, words):
    response = post(clinician, "outlines", image=str(image.pk), points=points)
    assert response.status_code == 400
    assert words in " ".join(pointers(response).values())
    assert not Outline.objects.exists()


def test_others_images_do_not_exist(client_of, personas, image):
    colleague = client_of(personas.colleague)
    MeasurementFactory(image=image)
    OutlineFactory(image=image)
    for path in ("measurements", "outlines", "scales"):
        assert colleague.get(f"{API}{path}/").json()["results"] == []
    response = post(colleague, "scales", image=str(image.pk), source="ruler", mm_per_pixel=0.1)
    assert set(pointers(response)) == {"/image"}
    assert Measurement.objects.count() == 1
