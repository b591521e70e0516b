"""What integrators' clients do: tokens with systems, searches by POST, versions, changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import UnreadablePostError
from rest_framework.exceptions import APIException

from accounts import services
from screening.api.fhir import outcomes
from screening.api.http.parsers import MAX_PARTS
from screening.errors import Busy, Damaged
from screening.interop import identifiers
from screening.interop.fhir import search
from screening.models import LesionImage, LesionPosition, Prediction
from screening.records import services as record_services
from tests.api.fhir.conftest import BASE, JSON
from tests.clients import Program
from tests.factories import LesionImageFactory

pytestmark = pytest.mark.django_db
STATUS = "http://hl7.org/fhir/observation-status"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def reader(personas) -> Program:
    """May only read FHIR."""
    _, secret = services.create_api_key(user=personas.clinician, name="r", scopes=["fhir:read"])
    return Program(secret)


def ids(response) -> set[str]:
    assert response.status_code == 200, response.content
    body = json.loads(response.getvalue() if response.streaming else response.content)
    return {entry["resource"]["id"] for entry in body.get("entry", [])}


@pytest.mark.parametrize(
    ("query", "same_as"),
    [
        (f"Observation?status={STATUS}|final", "Observation?status=final"),
        (f"Observation?status={STATUS}|", "Observation"),
        (
            "Patient?gender=http://hl7.org/fhir/administrative-gender|female",
            "Patient?gender=female",
        ),
        ("Media?identifier=urn:ietf:rfc:3986|", "Media"),
    ],
)
def test_a_token_with_its_system(reader, record, query, same_as):
    found = ids(reader.get(f"{BASE}/{query}"))
    assert found
    assert found == ids(reader.get(f"{BASE}/{same_as}"))


@pytest.mark.parametrize("query", ["Observation?status=http://other|final", "Patient?gender=x|"])
def test_a_token_of_another_system_is_none(reader, record, query):
    assert not ids(reader.get(f"{BASE}/{query}"))


def test_any_identifier_of_a_system(reader, record, personas):
    named = [{"system": "urn:ward", "value": "a|b"}]
    identifiers.set_identifiers(user=personas.clinician, record=record.patient, identifiers=named)
    own = {str(record.patient.pk)}
    assert ids(reader.get(f"{BASE}/Patient?identifier=urn:ward|")) == own
    assert ids(reader.get(f"{BASE}/Media?patient.identifier=urn:ward|a%5C|b")) == ids(
        reader.get(f"{BASE}/Media?patient={record.patient.pk}")
    )
    assert not ids(reader.get(f"{BASE}/Media?patient.identifier=urn:ward|c"))


def test_a_search_by_post_needs_only_to_read(reader, record):
    body = f"status=final&patient={record.patient.pk}"
    posted = reader.post(f"{BASE}/Observation/_search", body, content_type=FORM)
    assert ids(posted) == ids(reader.get(f"{BASE}/Observation?{body}"))
    assert ids(reader.post(f"{BASE}/Patient/_search")) == ids(reader.get(f"{BASE}/Patient"))


@pytest.mark.parametrize("kind", [JSON, "application/json", "text/plain", "multipart/form-data"])
def test_a_search_that_is_no_form_is_refused(reader, record, kind):
    """Without its filters it would find everybody."""
    posted = reader.generic(
        "POST", f"{BASE}/Patient/_search", '{"gender": "male"}', content_type=kind
    )
    assert posted.status_code == 415
    assert FORM in posted.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("kind", "status"), [(JSON, 200), ("application/json; charset=utf-8", 200), (FORM, 415)]
)
def test_an_operation_takes_json(reader, record, kind, status):
    url = f"{BASE}/Patient/{record.patient.pk}/$everything"
    posted = reader.generic("POST", url, '{"resourceType": "Parameters"}', content_type=kind)
    assert posted.status_code == status


def test_an_operation_with_too_many_parts_is_refused(reader, record):
    url = f"{BASE}/Patient/{record.patient.pk}/$everything"
    posted = reader.post(url, f"[{'1,' * MAX_PARTS}1]", content_type=JSON)
    assert (posted.status_code, posted.json()["issue"][0]["code"]) == (413, "too-long")


def test_a_search_that_is_too_large_is_refused(reader, record, settings):
    body = "_id=" + "a" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    posted = reader.post(f"{BASE}/Patient/_search", body, content_type=FORM)
    assert (posted.status_code, posted.json()["issue"][0]["code"]) == (413, "too-long")


def test_every_refusal_has_a_code_of_fhir():
    """A status without one would be answered as a bug of ours."""
    refusals, known = [APIException], set()
    while refusals:
        refusal = refusals.pop()
        known.add(refusal)
        refusals += refusal.__subclasses__()
    assert len(known) > 10
    assert {refusal.status_code for refusal in known} <= set(outcomes.CODES)


def test_everything_by_post_needs_only_to_read(reader, record):
    url = f"{BASE}/Patient/{record.patient.pk}/$everything"
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "_type", "valueString": "Media"}],
    }
    posted = reader.post(url, json.dumps(body), content_type=JSON)
    assert ids(posted) == ids(reader.get(f"{url}?_type=Media"))
    body["parameter"].append({"name": "_count", "valueInteger": 10})
    counted = json.loads(reader.post(url, json.dumps(body), content_type=JSON).getvalue())
    assert counted["entry"][-1]["search"] == {"mode": "outcome"}  # no pages here, it says
    assert reader.post(url, '{"resourceType": "Patient"}', content_type=JSON).status_code == 400


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_what_cannot_be_is_405_whatever_the_scopes(reader, record, method):
    for path in (f"{BASE}/Patient/{record.patient.pk}", "/api/v1/worklist/"):
        response = getattr(reader, method)(path)
        assert response.status_code == 405


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (f"{JSON}; fhirVersion=4.0", 200),
        (f"{JSON};fhirVersion=5.0", 406),
        (f'{JSON}; charset=utf-8; fhirVersion="3.0"', 406),
        (f"{JSON};fhirVersion=5.0, {JSON};fhirVersion=4.0", 200),
    ],
)
def test_only_r4_is_spoken(reader, record, accept, status):
    response = reader.get(f"{BASE}/Patient", HTTP_ACCEPT=accept)
    assert response.status_code == status


def marked(personas, record):
    record_services.edit_lesion(user=personas.clinician, lesion=record.lesion, body_site="face")


def placed(personas, record):
    LesionPosition.objects.filter(lesion=record.lesion).first().save()


def born(personas, record):
    """A child's reading never says "monitor"."""
    record_services.edit_patient(user=personas.clinician, patient=record.patient, birth_year=2015)


def pictured(personas, record):
    LesionImageFactory(lesion=record.lesion)


def named(personas, record):
    wanted = [{"system": "urn:ward", "value": "1"}]
    identifiers.set_identifiers(user=personas.clinician, record=record.lesion, identifiers=wanted)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (marked, ("Media", "Observation", "BodyStructure", "RiskAssessment", "DiagnosticReport")),
        (born, ("Patient", "Observation", "RiskAssessment", "DiagnosticReport")),
        (placed, ("BodyStructure",)),
        (pictured, ("BodyStructure", "DiagnosticReport")),
        (named, ("BodyStructure", "Media")),
    ],
)
def test_whatever_changes_is_found_by_last_updated(reader, record, personas, change, kinds):
    of_lesion = Prediction.objects.filter(image__lesion=record.lesion)
    assert of_lesion.exists()
    assert LesionImage.objects.filter(lesion=record.lesion).exists()
    before = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    for kind in kinds:
        assert not ids(reader.get(f"{BASE}/{kind}?_lastUpdated=gt{before}"))
    change(personas, record)
    for kind in kinds:
        response = reader.get(f"{BASE}/{kind}?_lastUpdated=gt{before}")
        assert ids(response), kind
        for entry in response.json()["entry"]:
            assert entry["resource"]["meta"]["lastUpdated"][:23] >= before[:23]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Busy(), 503, "transient"),
        (Damaged("x"), 404, "not-found"),
        (ValidationError({"name": ["First.", "Second."]}), 400, "invalid"),
        (IntegrityError("x"), 409, "conflict"),
        (UnreadablePostError(), 400, "invalid"),
    ],
)
def test_what_the_api_knows_is_known_to_fhir(reader, record, monkeypatch, error, status, code):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(search, "find", fails)
    answer = reader.get(f"{BASE}/Patient")
    [issue] = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (status, code)
    assert issue["diagnostics"].replace("First. Second.", "") != str(error)
