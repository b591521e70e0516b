"""The body map and the ugly duckling over the API."""

from __future__ import annotations

import numpy as np
import pytest

from screening.models import LesionPosition
from tests.api.conftest import pointers
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    PredictionFactory,
    PredictionMapsFactory,
)

API = "/api/v1/positions/"


def place(client, lesion, **spot):
    body = {"lesion": str(lesion.pk), "view": "front", "x": 0.6, "y": 0.27, **spot}
    return client.post(API, body, format="json")


def test_placing_answers_with_what_follows(personas, clinician):
    lesion = LesionFactory(patient=personas.patient, body_site="")
    response = place(clinician, lesion)
    assert response.status_code == 201
    found = response.json()
    assert (found["region"], found["side"], found["body_site"]) == ("chest", "left", "chest")
    assert found["site_code"] == {
        "value": "244106003",
        "scheme": "SCT",
        "meaning": "Skin of anterior surface of thorax",
    }
    assert found["placed_by"] == str(personas.clinician)
    assert found["patient"] == str(personas.patient.pk)
    assert clinician.get(found["url"]).json() == found
    assert clinician.get(f"/api/v1/lesions/{lesion.pk}/").json()["body_site"] == "chest"


def test_a_region_without_a_code_says_null(personas, clinician, lesion):
    found = place(clinician, lesion, x=0.72, y=0.25).json()
    assert (found["region"], found["site_code"]) == ("shoulder", None)


def test_a_move_is_a_new_position_and_the_first_of_the_list(personas, clinician, lesion):
    first = place(clinician, lesion).json()
    second = place(clinician, lesion, view="back").json()
    rows = clinician.get(API, {"lesion": str(lesion.pk)}).json()["results"]
    assert [row["id"] for row in rows] == [second["id"], first["id"]]


def test_positions_by_lesion_and_patient(personas, clinician, lesion):
    here = LesionPositionFactory(lesion=lesion)
    LesionPositionFactory(lesion__patient__clinic=personas.clinic)
    LesionPositionFactory()

    def found(**query):
        return [row["id"] for row in clinician.get(API, query).json()["results"]]

    assert len(found()) == 2
    assert found(lesion=lesion.pk) == [str(here.pk)]
    assert found(patient=lesion.patient_id) == [str(here.pk)]


@pytest.mark.parametrize(
    ("spot", "pointer"),
    [
        ({"x": 0.01, "y": 0.01}, ""),
        ({"x": 1.2}, ""),
        ({"x": "nan"}, "/x"),
        ({"y": "low"}, "/y"),
        ({"x": None}, "/x"),
        ({"view": "side"}, "/view"),
        ({"region": "chest"}, None),
        ({"shade": 1}, "/shade"),
    ],
)
def test_what_cannot_be_is_refused_by_name(clinician, lesion, spot, pointer):
    response = place(clinician, lesion, **spot)
    if pointer is None:  # it follows from the point, so a sent value is ignored
        assert response.status_code == 201
        return
    assert response.status_code == 400
    assert set(pointers(response)) == {pointer}
    assert not LesionPosition.objects.exists()


def test_a_position_is_never_edited(clinician, lesion):
    position = LesionPositionFactory(lesion=lesion)
    for method in (clinician.patch, clinician.put, clinician.delete):
        assert method(f"{API}{position.pk}/", {"x": 0.5}, format="json").status_code == 405


def test_the_ugly_duckling(personas, clinician, django_assert_num_queries):
    rng = np.random.default_rng(11)
    common = rng.random(1024)
    url = f"/api/v1/patients/{personas.patient.pk}/ugly-duckling/"
    readings = []
    for n in range(6):
        image = LesionImageFactory(lesion=LesionFactory(patient=personas.patient))
        vector = rng.random(1024) if n == 4 else common + 0.1 * rng.random(1024)
        readings.append(PredictionFactory(image=image))
        PredictionMapsFactory(prediction=readings[-1], features=vector.astype(np.float16).tobytes())
        if n == 3:
            few = clinician.get(url).json()
            assert (few["ranking"], few["model_version"]) == ([], None)
            assert "once five of them have been read" in few["statement"]
    with django_assert_num_queries(
        7
    ):  # key, roles, patient, lesions, the ranking's two, the audit log
        found = clinician.get(url).json()
    assert found["model_version"] == "test-1"
    first, second = found["ranking"][:2]
    assert (first["rank"], first["prediction"]) == (1, str(readings[4].pk))
    assert first["lesion"] == str(readings[4].image.lesion_id)
    assert first["distance"] > 3 * second["distance"]
    assert "no sign of disease" in found["statement"]
    assert "Research software" in found["disclaimer"]
