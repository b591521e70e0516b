"""Records by another system's identifier."""

from __future__ import annotations

import pytest

from screening.models import ExternalIdentifier, Lesion, LesionImage, Patient
from tests.api.conftest import pointers, upload
from tests.factories import LesionFactory, picture

PATIENTS, LESIONS, IMAGES = "/api/v1/patients/", "/api/v1/lesions/", "/api/v1/images/"
OWN = [{"system": "https://pvs.example.org/patients", "value": "4711"}]
FILTER = {"identifier": "https://pvs.example.org/patients|4711"}


@pytest.fixture
def clinic(personas) -> str:
    return str(personas.clinic.pk)


def test_a_patient_is_made_once_and_got_afterwards(clinician, clinic):
    body = {"clinic": clinic, "label": "X", "identifiers": OWN}
    first = clinician.post(PATIENTS, body)
    assert first.status_code == 201
    assert first.json()["identifiers"] == OWN
    again = clinician.post(PATIENTS, body | {"label": "Changed"})
    assert again.status_code == 200
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert Patient.objects.filter(clinic=clinic).count() == 2  # with the persona's


def test_it_is_found_by_its_identifier(clinician, clinic):
    made = clinician.post(PATIENTS, {"clinic": clinic, "label": "X", "identifiers": OWN}).json()
    found = clinician.get(PATIENTS, FILTER).json()["results"]
    assert [one["id"] for one in found] == [made["id"]]
    for other in ("4711", "|4711", "https://pvs.example.org/patients|4712"):
        assert clinician.get(PATIENTS, {"identifier": other}).json()["results"] == []


def test_another_clinic_has_its_own(personas, client_of, clinician, clinic):
    clinician.post(PATIENTS, {"clinic": clinic, "label": "X", "identifiers": OWN})
    colleague = client_of(personas.colleague)
    theirs = str(personas.colleague.memberships.get().clinic_id)
    body = {"clinic": theirs, "label": "X", "identifiers": OWN}
    assert colleague.post(PATIENTS, body).status_code == 201
    assert len(colleague.get(PATIENTS, FILTER).json()["results"]) == 1


def test_ones_own_record_has_its_own(clinician):
    for status in (201, 200):
        answer = clinician.post(PATIENTS, {"label": "Me", "identifiers": OWN})
        assert answer.status_code == status


def test_a_viewer_gets_nothing_by_posting(personas, client_of, clinician, clinic):
    body = {"clinic": clinic, "label": "X", "identifiers": OWN}
    clinician.post(PATIENTS, body)
    assert client_of(personas.viewer).post(PATIENTS, body).status_code == 403


def test_identifiers_are_replaced_by_a_change(clinician, clinic):
    made = clinician.post(PATIENTS, {"clinic": clinic, "label": "X", "identifiers": OWN}).json()
    other = [{"system": "urn:oid:2.25.1", "value": "a"}, {"system": "urn:oid:2.25.2", "value": "b"}]
    changed = clinician.patch(made["url"], {"identifiers": other})
    assert changed.json()["identifiers"] == other
    assert clinician.patch(made["url"], {"sex": "male"}).json()["identifiers"] == other
    assert clinician.get(PATIENTS, FILTER).json()["results"] == []
    assert clinician.patch(made["url"], {"identifiers": []}).json()["identifiers"] == []


def test_what_a_get_answers_with_can_be_sent_back(clinician, clinic):
    made = clinician.post(PATIENTS, {"clinic": clinic, "label": "X", "identifiers": OWN}).json()
    assert clinician.patch(made["url"], made).json()["identifiers"] == OWN


def test_one_of_another_record_cannot_be_taken(clinician, clinic, personas):
    clinician.post(PATIENTS, {"clinic": clinic, "label": "X", "identifiers": OWN})
    answer = clinician.patch(f"{PATIENTS}{personas.patient.pk}/", {"identifiers": OWN})
    assert set(pointers(answer)) == {"/identifiers"}
    assert ExternalIdentifier.objects.count() == 1


def test_two_that_name_two_records(clinician, clinic):
    for value in "ab":
        one = [{"system": "urn:x", "value": value}]
        clinician.post(PATIENTS, {"clinic": clinic, "label": value, "identifiers": one})
    both = [{"system": "urn:x", "value": value} for value in "ab"]
    answer = clinician.post(PATIENTS, {"clinic": clinic, "label": "X", "identifiers": both})
    assert set(pointers(answer)) == {"/identifiers"}


@pytest.mark.parametrize(
    "wrong",
    [
        [{"system": "urn:x"}],
        [{"system": "", "value": "a"}],
        [{"system": "urn:x", "value": "a", "use": "official"}],
        "urn:x|a",
        [{"system": "urn:x", "value": str(n)} for n in range(11)],
    ],
)
def test_identifiers_that_are_none(clinician, clinic, wrong):
    answer = clinician.post(PATIENTS, {"clinic": clinic, "label": "X", "identifiers": wrong})
    assert answer.status_code == 400
    assert all(where.startswith("/identifiers") for where in pointers(answer))
    assert not Patient.objects.filter(label="X").exists()


def test_one_that_is_named_twice_is_one(clinician, clinic):
    body = {"clinic": clinic, "label": "X", "identifiers": OWN * 2}
    assert clinician.post(PATIENTS, body).json()["identifiers"] == OWN


def test_a_lesion_is_made_once(clinician, personas):
    body = {"patient": str(personas.patient.pk), "identifiers": OWN}
    first = clinician.post(LESIONS, body)
    again = clinician.post(LESIONS, body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert Lesion.objects.count() == 1
    assert len(clinician.get(LESIONS, FILTER).json()["results"]) == 1


def test_a_lesion_of_another_patient_is_not_this_one(clinician, personas):
    other = clinician.post(PATIENTS, {"clinic": str(personas.clinic.pk), "label": "Y"}).json()
    clinician.post(LESIONS, {"patient": other["id"], "identifiers": OWN})
    answer = clinician.post(LESIONS, {"patient": str(personas.patient.pk), "identifiers": OWN})
    assert set(pointers(answer)) == {"/identifiers"}


def test_an_image_is_stored_once(clinician, lesion):
    first = upload(clinician, lesion, identifier="urn:x|img-1")
    assert first.status_code == 202
    assert first.json()["identifiers"] == [{"system": "urn:x", "value": "img-1"}]
    again = upload(clinician, lesion, picture(1), identifier="urn:x|img-1")
    assert again.status_code == 200
    assert again.json()["id"] == first.json()["id"]
    assert LesionImage.objects.count() == 1
    assert len(clinician.get(IMAGES, {"identifier": "urn:x|img-1"}).json()["results"]) == 1


def test_a_picture_that_is_known_gets_the_identifier(clinician, lesion):
    upload(clinician, lesion)
    named = upload(clinician, lesion, identifier="urn:x|img-1")
    assert named.json()["identifiers"] == [{"system": "urn:x", "value": "img-1"}]
    assert LesionImage.objects.count() == 1


def test_an_image_of_another_lesion_is_not_this_one(clinician, lesion, personas):
    upload(clinician, lesion, identifier="urn:x|img-1")
    answer = upload(clinician, LesionFactory(patient=personas.patient), identifier="urn:x|img-1")
    assert set(pointers(answer)) == {"/identifiers"}


@pytest.mark.parametrize("wrong", ["img-1", "|img-1", "urn:x|"])
def test_an_identifier_of_an_upload_that_is_none(clinician, lesion, wrong):
    assert set(pointers(upload(clinician, lesion, identifier=wrong))) == {"/identifier"}
