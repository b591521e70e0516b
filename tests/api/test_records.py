"""Clinics, patients, lesions and reviews: writes, rejections, permissions."""

from __future__ import annotations

import pytest

from screening.models import Lesion, Patient, Review
from tests.api.conftest import pointers
from tests.factories import LesionFactory, LesionImageFactory, PatientFactory, PredictionFactory

PATIENTS, LESIONS, REVIEWS = "/api/v1/patients/", "/api/v1/lesions/", "/api/v1/reviews/"
NOBODY = "019ab0d2-0000-7000-8000-000000000000"


def test_a_clinic_is_listed_with_the_own_role(personas, clinician):
    assert clinician.get("/api/v1/clinics/").json()["results"] == [
        {
            "id": str(personas.clinic.pk),
            "name": "North clinic",
            "role": "clinician",
            "review_before_reading": False,
        }
    ]


def test_a_clinic_of_others_is_not_there(personas, client_of):
    stranger = client_of(personas.stranger)
    assert stranger.get("/api/v1/clinics/").json()["results"] == []
    assert stranger.get(f"/api/v1/clinics/{personas.clinic.pk}/").status_code == 404


def test_a_patient_of_a_clinic(personas, clinician):
    sent = {
        "clinic": str(personas.clinic.pk),
        "label": " N-2 ",
        "birth_year": 1970,
        "sex": "male",
        "skin_type": "IV",
    }
    response = clinician.post(PATIENTS, sent)
    assert response.status_code == 201
    body = response.json()
    assert body.items() >= {**sent, "label": "N-2"}.items()
    assert response["Location"] == body["url"] == f"http://testserver{PATIENTS}{body['id']}/"
    assert clinician.get(body["url"]).json() == body
    assert Patient.objects.get(pk=body["id"]).clinic == personas.clinic


def test_a_record_of_ones_own_needs_no_clinic(personas, client_of):
    response = client_of(personas.self_tracker).post(PATIENTS, {"label": "Me"})
    assert response.status_code == 201
    assert response.json()["clinic"] is None
    assert Patient.objects.get(pk=response.json()["id"]).owner == personas.self_tracker


@pytest.mark.parametrize("persona", ["stranger", "colleague"])
def test_a_clinic_of_others_cannot_be_named(personas, client_of, persona):
    client = client_of(getattr(personas, persona))
    response = client.post(PATIENTS, {"label": "X", "clinic": str(personas.clinic.pk)})
    assert response.status_code == 400
    assert pointers(response) == {"/clinic": "There is no such clinic, or it is not yours."}


def test_a_viewer_sees_the_clinic_but_adds_no_patient(personas, client_of):
    client = client_of(personas.viewer)
    response = client.post(PATIENTS, {"label": "X", "clinic": str(personas.clinic.pk)})
    assert response.status_code == 403
    assert "does not let you add patients" in response.json()["detail"]


def test_a_change_touches_only_what_is_sent(personas, clinician):
    url = f"{PATIENTS}{personas.patient.pk}/"
    response = clinician.patch(url, {"birth_year": 1959})
    assert response.status_code == 200
    assert response.json()["birth_year"] == 1959
    assert response.json()["label"] == "N-1"


def test_a_patient_can_be_sent_back_as_it_came(personas, clinician):
    url = f"{PATIENTS}{personas.patient.pk}/"
    response = clinician.patch(url, clinician.get(url).json())
    assert response.status_code == 200


def test_a_patient_stays_in_its_clinic(personas, clinician):
    response = clinician.patch(f"{PATIENTS}{personas.patient.pk}/", {"clinic": None})
    assert response.status_code == 400
    assert "stays where it is" in pointers(response)["/clinic"]
    personas.patient.refresh_from_db()
    assert personas.patient.clinic == personas.clinic


def test_a_lesion_stays_with_its_patient(personas, clinician, lesion):
    other = PatientFactory(clinic=personas.clinic)
    response = clinician.patch(f"{LESIONS}{lesion.pk}/", {"patient": str(other.pk)})
    assert response.status_code == 400
    assert "stays where it is" in pointers(response)["/patient"]


def test_the_same_label_twice_in_a_clinic_is_refused(personas, clinician):
    response = clinician.post(PATIENTS, {"label": "N-1", "clinic": str(personas.clinic.pk)})
    assert response.status_code == 400
    assert pointers(response) == {"": "Another record of this clinic has this name."}


def test_a_lesion_gets_a_label_and_its_symptoms(personas, clinician):
    response = clinician.post(
        LESIONS, {"patient": str(personas.patient.pk), "body_site": "back", "itching": True}
    )
    assert response.status_code == 201
    body = response.json()
    assert body["label"] == "Lesion 1"
    assert (body["itching"], body["bleeding"]) == (True, False)
    assert (body["image_count"], body["latest_image"], body["latest_outcome"]) == (0, None, None)


def test_a_lesion_shows_what_is_told_of_its_latest_image(clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    PredictionFactory(image=image, outcome="monitor")
    url = f"{LESIONS}{lesion.pk}/"
    assert clinician.get(url).json()["latest_outcome"] == "monitor"
    changed = clinician.patch(url, {"changing": True}).json()
    assert changed["latest_outcome"] == "see_doctor"
    assert (changed["image_count"], changed["latest_image"]) == (1, str(image.pk))


def test_an_invisible_patient_is_no_patient(personas, client_of):
    response = client_of(personas.colleague).post(LESIONS, {"patient": str(personas.patient.pk)})
    assert response.status_code == 400
    assert pointers(response) == {"/patient": "There is no such patient, or it is not yours."}
    assert not Lesion.objects.exists()


@pytest.mark.parametrize("reference", ["", "x", 5, None, [], {}, NOBODY, "a\0b"])
def test_a_reference_that_is_none(clinician, reference):
    response = clinician.post(LESIONS, {"patient": reference})
    assert response.status_code == 400
    assert set(pointers(response)) == {"/patient"}


def test_a_viewer_looks_and_does_not_touch(personas, client_of, lesion):
    client = client_of(personas.viewer)
    assert client.get(f"{LESIONS}{lesion.pk}/").status_code == 200
    assert client.patch(f"{LESIONS}{lesion.pk}/", {"notes": "x"}).status_code == 403
    assert client.post(LESIONS, {"patient": str(personas.patient.pk)}).status_code == 403


def test_a_conclusion_is_signed(personas, clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    sent = {"image": str(image.pk), "conclusion": "mel", "management": "excise", "note": "Now."}
    response = clinician.post(REVIEWS, sent)
    assert response.status_code == 201
    assert response.json().items() >= {**sent, "reviewer": str(personas.clinician)}.items()
    shown = clinician.get(f"/api/v1/images/{image.pk}/").json()
    assert shown["latest_review"]["id"] == response.json()["id"]


@pytest.mark.parametrize("persona", ["assistant", "viewer"])
def test_only_clinicians_conclude(personas, client_of, lesion, persona):
    image = LesionImageFactory(lesion=lesion)
    body = {"image": str(image.pk), "conclusion": "nv", "management": "none"}
    response = client_of(getattr(personas, persona)).post(REVIEWS, body)
    assert response.status_code == 403
    assert not Review.objects.exists()


def test_something_else_needs_a_note(clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    body = {"image": str(image.pk), "conclusion": "other", "management": "none"}
    response = clinician.post(REVIEWS, body)
    assert response.status_code == 400
    assert pointers(response) == {"": "Say in the note what it is."}


def test_a_review_is_never_changed(clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    body = {"image": str(image.pk), "conclusion": "nv", "management": "none"}
    url = clinician.post(REVIEWS, body).json()["url"]
    for method in ("put", "patch", "delete"):
        assert getattr(clinician, method)(url, body).status_code == 405


def test_a_typing_error_in_a_field_is_not_lost(clinician):
    response = clinician.post(PATIENTS, {"label": "X", "birthyear": 1960})
    assert response.status_code == 400
    assert pointers(response) == {"/birthyear": "There is no such field."}


def test_notes_of_others_are_not_found_by_searching(personas, client_of):
    LesionFactory(patient=personas.patient, notes="secret word")
    found = client_of(personas.colleague).get(LESIONS, {"search": "secret"}).json()
    assert found["results"] == []
