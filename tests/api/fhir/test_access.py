"""Who sees what over FHIR, and how errors are reported."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from screening.interop.fhir.resources import KINDS, Stored
from tests.api.fhir.conftest import BASE, JSON, check, fetched, resources
from tests.clients import Program
from tests.factories import ReviewFactory

STORED = [kind for kind, found in KINDS.items() if isinstance(found, Stored)]


def issue(response, status):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == JSON
    body = response.json()
    check(body)
    return body["issue"][0]


@pytest.mark.parametrize("kind", STORED)
def test_another_clinics_colleague_finds_nothing(personas, client_of, clinician, record, kind):
    theirs = [one["id"] for one in resources(fetched(clinician, kind))]
    outsider = client_of(personas.colleague)
    assert not resources(fetched(outsider, kind))
    cache.clear()
    for pk in theirs:
        assert issue(outsider.get(f"{BASE}/{kind}/{pk}"), 404)["code"] == "not-found"


def test_another_clinics_device_is_not_told(personas, client_of, record):
    outsider = client_of(personas.colleague)
    assert outsider.get(f"{BASE}/Device/gone-1").status_code == 404


def test_a_viewer_and_an_owner_see_their_own(personas, client_of, record):
    assert resources(fetched(client_of(personas.viewer), "Observation"))
    (own,) = resources(fetched(client_of(personas.self_tracker), "Patient"))
    assert own["id"] == str(personas.own_patient.pk)
    assert "managingOrganization" not in own
    label = own["identifier"][1]
    query = f"Patient?identifier={label['system']}|{label['value']}"
    assert resources(fetched(client_of(personas.self_tracker), query))


def test_who_is_not_logged_in_is_told_so(db):
    response = Program().get(f"{BASE}/Patient")
    told = issue(response, 401)
    assert (told["code"], "Authorization: Bearer" in told["diagnostics"]) == ("login", True)
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_what_it_can_do_is_open_to_all(db):
    found = fetched(Program(), "metadata")
    assert found["fhirVersion"] == "4.0.1"
    (rest,) = found["rest"]
    told = {one["type"]: one for one in rest["resource"]}
    assert told.keys() == {*KINDS, "Binary"}
    assert told["Patient"]["operation"][0]["name"] == "everything"
    names = {one["name"] for one in told["Observation"]["searchParam"]}
    assert {"patient", "date", "identifier", "_lastUpdated", "status"} <= names


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_that_is_told_is_understood(clinician, record, kind):
    (rest,) = fetched(Program(), "metadata")["rest"]
    told = next(one for one in rest["resource"] if one["type"] == kind)
    values = {"date": "ge2000", "token": "x", "reference": "x", "uri": "x"}
    for one in told["searchParam"]:
        query = f"{kind}?{one['name']}={values[one['type']]}"
        fetched(clinician, query, HTTP_PREFER="handling=strict")


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+json",
        "application/fhir+json;fhirVersion=4.0",
        "application/json",
        "text/html, application/xhtml+xml, */*;q=0.8",
        "application/fhir+xml, application/fhir+json;q=0.5",
    ],
)
def test_json_is_given_to_whoever_takes_it(clinician, record, accept):
    fetched(clinician, "Patient", HTTP_ACCEPT=accept)


@pytest.mark.parametrize("accept", ["application/fhir+xml", "text/turtle", "text/html"])
def test_no_other_form_is_given(clinician, record, accept):
    assert issue(clinician.get(f"{BASE}/Patient", HTTP_ACCEPT=accept), 406)
    assert issue(clinician.get(f"{BASE}/Patient?_format=xml"), 406)
    fetched(clinician, "Patient?_format=json", HTTP_ACCEPT=accept)
    fetched(clinician, "Patient?_format=application/fhir+json", HTTP_ACCEPT=accept)


@pytest.mark.parametrize(
    "path", ["Wart", "Wart/1", "Patient/x", "Patient/x/y", "Patient/a%0Ab", "Patient/", ""]
)
def test_an_address_that_is_none(clinician, record, path):
    assert issue(clinician.get(f"{BASE}/{path}"), 404)["code"] == "not-found"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_is_written(clinician, record, method):
    for path in ("Patient", f"Patient/{record.patient.pk}"):
        response = getattr(clinician, method)(f"{BASE}/{path}", {})
        assert issue(response, 405)["code"] == "not-supported"


def test_who_asks_too_often_is_told_when_to_come_again(clinician, record, monkeypatch):
    from screening.api.http.throttling import CallerThrottle

    monkeypatch.setattr(CallerThrottle, "rate", "1/min", raising=False)
    clinician.get(f"{BASE}/Patient")
    response = clinician.get(f"{BASE}/Patient")
    assert issue(response, 429)["code"] == "throttled"
    assert int(response["Retry-After"]) > 0


def test_a_bug_is_told_in_fhir_too(clinician, record, monkeypatch):
    from screening.interop.fhir import search

    def broken(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(search, "find", broken)
    clinician.raise_request_exception = False
    response = clinician.get(f"{BASE}/Patient")
    assert issue(response, 500)["code"] == "exception"
    assert "secret" not in response.content.decode()


def test_a_refused_host_is_told_in_fhir_too(db):
    response = Program().get(f"{BASE}/metadata", HTTP_HOST="evil.example.org")
    assert issue(response, 400)["code"] == "invalid"


def test_nothing_that_was_found_is_told_before_an_own_conclusion(personas, clinician, record):
    """If the clinic requires it."""
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    everything = fetched(clinician, f"Patient/{personas.patient.pk}/$everything")
    assert {one["resourceType"] for one in resources(everything)} == {
        "Patient",
        "BodyStructure",
        "Media",
        "DiagnosticReport",
    }
    assert list(resources(fetched(clinician, "Observation"))) == []  # histology would reveal it too
    for kind in ("Observation", "RiskAssessment", "Provenance"):
        assert clinician.get(f"{BASE}/{kind}/{record.reviewed.pk}").status_code == 404
    report = fetched(clinician, f"DiagnosticReport/{record.lesion.pk}")
    assert str(record.reviewed.pk) not in str(report)
    ReviewFactory(image=record.reviewed.image, reviewer=personas.clinician)
    fetched(clinician, f"Observation/{record.reviewed.pk}")


def test_an_empty_accept_takes_anything(clinician, record):
    fetched(clinician, "Patient", HTTP_ACCEPT="")
