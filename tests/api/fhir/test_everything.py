"""Everything about a patient in one Bundle: complete, and without dangling references."""

from __future__ import annotations

import pytest

from tests.api.fhir.conftest import BASE, check, fetched, references, resources
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory, ReviewFactory


def address(patient, query=""):
    return f"Patient/{patient.pk}/$everything{query}"


def test_every_reference_leads_to_something_in_it(clinician, record):
    bundle = fetched(clinician, address(record.patient))
    there = {f"{one['resourceType']}/{one['id']}" for one in resources(bundle)}
    assert set(references(bundle)) <= there
    assert len(there) == len(bundle["entry"]) == bundle["total"]
    kinds = {one.partition("/")[0] for one in there}
    assert kinds == {
        "Patient",
        "BodyStructure",
        "Media",
        "Observation",
        "RiskAssessment",
        "DiagnosticReport",
        "Provenance",
        "Device",
        "DocumentReference",
    }
    for entry in bundle["entry"]:
        one = entry["resource"]
        assert entry["fullUrl"] == f"http://testserver{BASE}/{one['resourceType']}/{one['id']}"


def test_nothing_of_another_patient(clinician, record):
    before = fetched(clinician, address(record.patient))["total"]
    ReviewFactory(image__lesion__patient__clinic=record.patient.clinic)
    assert fetched(clinician, address(record.patient))["total"] == before


def test_types_and_since_narrow_it(clinician, record):
    bundle = fetched(clinician, address(record.patient, "?_type=Media,Observation"))
    assert {one["resourceType"] for one in resources(bundle)} == {"Media", "Observation"}
    assert fetched(clinician, address(record.patient, "?_since=2100-01-01T00:00:00Z"))["total"] == 0
    assert fetched(clinician, address(record.patient, "?_since=2020-01-01"))["total"] > 20


@pytest.mark.parametrize("query", ["?_type=Wart", "?_since=gt2026", "?_since=x"])
def test_a_wrong_value_is_refused(clinician, record, query):
    response = clinician.get(f"{BASE}/{address(record.patient, query)}")
    assert response.status_code == 400
    check(response.json())


def test_what_is_not_known_is_ignored_and_said_or_refused(clinician, record):
    path = f"{BASE}/{address(record.patient, '?hair=red')}"
    lenient = fetched(clinician, address(record.patient, "?hair=red"))
    assert lenient["entry"][-1]["search"] == {"mode": "outcome"}
    assert clinician.get(path, HTTP_PREFER="handling=strict").status_code == 400


def test_as_many_queries_for_many_images_as_for_few(
    clinician, record, django_assert_max_num_queries
):
    path = f"{BASE}/{address(record.patient)}"
    clinician.get(path).getvalue()
    with django_assert_max_num_queries(30) as few:
        clinician.get(path).getvalue()
    for lesion in LesionFactory.create_batch(3, patient=record.patient):
        for image in LesionImageFactory.create_batch(2, lesion=lesion):
            PredictionFactory(image=image)
            ReviewFactory(image=image)
    with django_assert_max_num_queries(30) as many:
        clinician.get(path).getvalue()
    assert len(many) == len(few)
