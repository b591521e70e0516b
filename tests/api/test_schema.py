"""The OpenAPI schema: valid, complete, and consistent with the API's responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from ml import reader
from screening.api import urls
from tests.api.conftest import upload
from tests.factories import (
    AlertFactory,
    ChangeMarkFactory,
    ComparisonFactory,
    HistologyFactory,
    ImageScaleFactory,
    LesionImageFactory,
    LesionPositionFactory,
    MeasurementFactory,
    PredictionFactory,
    ReminderFactory,
    ReviewFactory,
)

SOURCE = "urn:schema"
ROOT = Path(__file__).resolve().parents[2]
RENEW = "the API has changed: .venv/bin/python manage.py spectacular --file docs/openapi.yaml"


@pytest.fixture(scope="session")
def schema(tmp_path_factory) -> dict[str, Any]:
    """As ``manage.py spectacular --validate --fail-on-warn`` writes it."""
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    call_command("spectacular", "--validate", "--fail-on-warn", format="openapi-json", file=path)
    return json.loads(path.read_text())


def operations(schema):
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def conforms(schema, name: str, value: Any) -> None:
    registry = Registry().with_resource(
        SOURCE,
        Resource.from_contents({"$schema": Draft202012Validator.META_SCHEMA["$id"], **schema}),
    )
    validator = Draft202012Validator(
        {"$ref": f"{SOURCE}#/components/schemas/{name}"},
        registry=registry,
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    validator.validate(value)


def test_every_route_is_in_it(schema):
    assert schema["openapi"].startswith("3.1")
    for prefix, viewset, _ in urls.router.registry:
        listed = schema["paths"][f"/api/v1/{prefix}/"]
        assert ("post" in listed) == hasattr(viewset, "create")
    assert "/api/v1/images/{id}/file" in schema["paths"]


def test_every_operation_is_explained_and_has_an_example(schema):
    for name, operation in operations(schema):
        assert operation["summary"], name
        assert operation["description"], name
        bodies = [
            body
            for answer in operation["responses"].values()
            for kind, body in answer.get("content", {}).items()
            if kind == "application/json"
        ]
        for body in bodies:
            assert body["examples"], name
        sent = operation.get("requestBody", {}).get("content", {}).get("application/json")
        assert sent is None or sent["examples"], name


def test_every_operation_takes_a_key_and_tells_its_problems(schema):
    assert schema["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    for name, operation in operations(schema):
        named = {scheme for one in operation["security"] for scheme in one}
        assert {"apiKey", "application"} <= named, name
        (scope,) = next(one["apiKey"] for one in operation["security"] if "apiKey" in one)
        assert scope.endswith(":read" if name.startswith("get") else ":write"), name
        answers = operation["responses"]
        assert {"401", "429"} <= answers.keys(), name
        assert ("404" in answers) == ("{id}" in name), name
        assert {"application/problem+json"} == answers["401"]["content"].keys()


def test_the_examples_are_true_to_the_schema(schema):
    checked = 0
    for _, operation in operations(schema):
        contents = [answer.get("content", {}) for answer in operation["responses"].values()]
        for content in [*contents, operation.get("requestBody", {}).get("content", {})]:
            for body in content.values():
                whole = body["schema"].get("anyOf", [body["schema"]])[0]
                reference = whole.get("$ref", "")
                for example in body.get("examples", {}).values() if reference else ():
                    name = reference.rpartition("/")[2]
                    conforms(schema, name, example["value"])
                    described = schema["components"]["schemas"][name].get("properties", {})
                    assert not described or example["value"].keys() <= described.keys(), name
                    checked += 1
    assert checked > 20


def test_the_answers_are_true_to_the_schema(schema, clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    ReviewFactory(image=image)
    HistologyFactory(lesion=lesion)
    LesionPositionFactory(lesion=lesion)
    ReminderFactory(lesion=lesion)
    PredictionFactory(image=image, outcome="monitor", model_version=reader.DEFAULT_VERSION)
    comparison = ComparisonFactory(later=image)
    ChangeMarkFactory(comparison=comparison)
    AlertFactory(earlier=comparison.earlier, later=image)
    ImageScaleFactory(image=image)
    MeasurementFactory(image=image)
    MeasurementFactory(image=image, by_hand=True, values={}, failure="Too small.")
    MeasurementFactory(image=comparison.earlier)
    upload(clinician, lesion)
    for prefix, name in (
        ("clinics", "Clinic"),
        ("patients", "Patient"),
        ("lesions", "Lesion"),
        ("images", "Image"),
        ("predictions", "Prediction"),
        ("reviews", "Review"),
        ("positions", "Position"),
        ("measurements", "Measurement"),
        ("scales", "Scale"),
        ("outlines", "Outline"),
        ("comparisons", "Comparison"),
        ("change-marks", "ChangeMark"),
        ("alerts", "Alert"),
        ("reminders", "Reminder"),
        ("histologies", "Histology"),
        ("worklist", "WorklistItem"),
    ):
        body = clinician.get(f"/api/v1/{prefix}/").json()
        conforms(schema, f"Paginated{name}List", body)
        assert body["results"]
        for row in body["results"]:
            assert row.keys() == schema["components"]["schemas"][name]["properties"].keys()
    reminder = clinician.get(f"/api/v1/lesions/{lesion.pk}/reminder/").json()
    conforms(schema, "LesionReminder", reminder)
    conforms(schema, "Calendar", clinician.post("/api/v1/calendar-feed/").json())
    agreement = clinician.get(f"/api/v1/clinics/{lesion.patient.clinic_id}/agreement/").json()
    conforms(schema, "Agreement", agreement)
    unlike = clinician.get(f"/api/v1/patients/{lesion.patient_id}/ugly-duckling/").json()
    conforms(schema, "UglyDuckling", unlike)
    conforms(schema, "Problem", clinician.get("/api/v1/patients/", {"x": 1}).json())
    conforms(schema, "Problem", clinician.get("/api/v1/x/").json())


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("patients/?fields=id", "Patient"),
        ("patients/?expand=clinic", "Patient"),
        ("lesions/?expand=patient&fields=id,patient", "Lesion"),
        ("images/?expand=lesion", "Image"),
        ("predictions/?expand=image,lesion", "Prediction"),
        ("reviews/?expand=image,lesion&fields=image,lesion,note", "Review"),
    ],
)
def test_shaped_answers_are_told_too(schema, clinician, lesion, query, name):
    image = LesionImageFactory(lesion=lesion)
    ReviewFactory(image=image)
    PredictionFactory(image=image)
    (row,) = clinician.get(f"/api/v1/{query}").json()["results"]
    conforms(schema, f"Shaped{name}", row)
    with pytest.raises(ValidationError):
        conforms(schema, name, row)
    listed = schema["components"]["schemas"][f"Paginated{name}List"]["properties"]["results"]
    told = [one["$ref"].rpartition("/")[2] for one in listed["items"]["anyOf"]]
    assert told == [name, f"Shaped{name}"]
    kind, _, asked = query.partition("/?")
    one = clinician.get(f"/api/v1/{kind}/{one_of(lesion, kind)}/?{asked}").json()
    detail = schema["paths"][f"/api/v1/{kind}/{{id}}/"]["get"]["responses"]["200"]["content"]
    shaped = detail["application/json"]["schema"]["anyOf"][1]["$ref"].rpartition("/")[2]
    conforms(schema, shaped, one)


def one_of(lesion, kind):
    (image,) = lesion.images.all()
    return {
        "patients": lesion.patient_id,
        "lesions": lesion.pk,
        "images": image.pk,
        "predictions": image.predictions.get().pk,
        "reviews": image.reviews.get().pk,
    }[kind]


def test_every_tag_is_declared_and_there_is_a_server(schema):
    used = {tag for _, operation in operations(schema) for tag in operation["tags"]}
    assert used == {tag["name"] for tag in schema["tags"]}
    assert all(tag["description"] for tag in schema["tags"])
    assert schema["servers"][0]["url"] == "/"


def test_the_document_is_built_once(client, db, monkeypatch):
    first = client.get("/api/v1/schema/")
    assert first["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"
    as_json = client.get("/api/v1/schema/", HTTP_ACCEPT="application/vnd.oai.openapi+json")
    assert json.loads(as_json.content)["openapi"].startswith("3.1")
    monkeypatch.setattr(SchemaGenerator, "get_schema", lambda *args, **named: pytest.fail("again"))
    assert client.get("/api/v1/schema/").content == first.content


def test_a_wrong_answer_would_be_noticed(schema):
    with pytest.raises(ValidationError):
        conforms(schema, "Prediction", {"outcome": "healthy"})


def test_schema_and_page_need_no_login_and_no_inline_script(client, db):
    assert client.get("/api/v1/schema/").status_code == 200
    page = client.get("/api/docs/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "<script>" not in text
    assert 'src="/static/drf_spectacular_sidecar/' in text
    assert "https://" not in text
    script = client.get("/api/docs/", {"script": ""})
    assert script["Content-Type"] == "application/javascript"


def test_redoc_loads_nothing_from_elsewhere(client, db):
    page = client.get("/api/redoc/").content.decode()
    assert 'spec-url="/api/v1/schema/"' in page
    assert 'src="/static/drf_spectacular_sidecar/' in page
    assert "https://" not in page


@pytest.mark.skipif(
    connection.vendor != "sqlite",
    reason="the document is written on SQLite; another database has other limits of integers",
)
def test_the_document_that_is_checked_in_is_the_one_of_the_code(tmp_path):
    written = tmp_path / "openapi.yaml"
    call_command("spectacular", file=written)
    assert written.read_text() == (ROOT / "docs" / "openapi.yaml").read_text(), RENEW


def test_an_error_of_the_page_is_a_problem_too(client, db):
    response = client.post("/api/docs/")
    assert response.status_code == 405
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/method-not-allowed"
