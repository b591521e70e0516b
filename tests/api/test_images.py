"""Adding a picture over the API, and fetching it."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.services import create_api_key
from screening.api.http.parsers import MAX_UPLOAD_BYTES
from screening.models import Lesion, LesionImage, Prediction
from tests.api.conftest import pointers, upload
from tests.clients import Program
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
    picture,
)
from tests.privacy.entries import entries, looks_at

IMAGES = "/api/v1/images/"


def test_a_picture_is_stored_and_its_reading_queued(clinician, lesion):
    response = upload(clinician, lesion, captured_on="2026-03-01")
    assert response.status_code == 202
    body = response.json()
    image = LesionImage.objects.get()
    prediction = Prediction.objects.get(image=image)
    assert (body["id"], body["lesion"]) == (str(image.pk), str(lesion.pk))
    assert (body["captured_on"], body["modality"]) == ("2026-03-01", "dermatoscopic")
    assert (body["width"], body["height"]) == (300, 225)
    assert body["latest_prediction"]["state"] == "queued"
    assert body["latest_prediction"]["id"] == str(prediction.pk)
    assert response["Location"] == f"http://testserver/api/v1/predictions/{prediction.pk}/"
    assert response["Retry-After"] == "1"


def test_the_same_picture_again_is_recognised(clinician, lesion):
    first = upload(clinician, lesion)
    again = upload(clinician, lesion)
    assert again.status_code == 200
    assert again.json()["id"] == first.json()["id"]
    assert again["Location"] == first["Location"]
    assert Prediction.objects.count() == 1


def test_the_same_picture_on_another_lesion_is_told_first(personas, clinician, lesion):
    upload(clinician, lesion)
    other = LesionFactory(patient=personas.patient)
    response = upload(clinician, other)
    assert response.status_code == 409
    problem = response.json()
    assert problem["type"] == "/problems/same-picture"
    assert problem["lesion"].endswith(f"/api/v1/lesions/{lesion.pk}/")
    assert problem["image"].endswith(f"/api/v1/images/{LesionImage.objects.get().pk}/")
    assert upload(clinician, other, allow_duplicate="true").status_code == 202
    assert LesionImage.objects.count() == 2


def test_the_same_picture_of_another_clinic_is_told_to_nobody(personas, clinician, lesion):
    LesionImageFactory(sha256=hashlib.sha256(picture()).hexdigest())
    assert upload(clinician, lesion).status_code == 202


def first(client, patient, seed: int = 0, **fields):
    """Send the first picture of a new lesion."""
    file = SimpleUploadedFile("mole.jpg", picture(seed), "image/jpeg")
    body = {"patient": str(patient.pk), "file": file, **fields}
    return client.post(IMAGES, body, format="multipart")


def test_a_lesion_is_opened_with_its_first_picture(personas, clinician):
    response = first(clinician, personas.patient, label="Mole", body_site="back")
    assert response.status_code == 202, response.json()
    lesion = Lesion.objects.get(pk=response.json()["lesion"])
    assert (lesion.patient, lesion.label, lesion.body_site) == (personas.patient, "Mole", "back")
    assert first(clinician, personas.patient, 1).json()["lesion"] != str(lesion.pk)


def test_a_refused_first_picture_leaves_no_lesion(personas, clinician):
    text = SimpleUploadedFile("mole.jpg", b"no picture", "image/jpeg")
    assert first(clinician, personas.patient, file=text).status_code == 400
    assert first(clinician, personas.patient, captured_on="1850-01-01").status_code == 400
    assert first(clinician, personas.patient, body_site="nowhere").status_code == 400
    with patch("screening.images.services.quota.take_room", side_effect=ValidationError("Full.")):
        assert first(clinician, personas.patient).status_code == 400
    assert not Lesion.everything.filter(patient=personas.patient).exists()


def test_a_first_picture_sent_again_is_recognised(personas, clinician):
    sent = first(clinician, personas.patient, label="Mole").json()
    for label in ({"label": "Mole"}, {}):
        again = first(clinician, personas.patient, **label)
        assert (again.status_code, again.json()["id"]) == (200, sent["id"])
    assert first(clinician, personas.patient, label="Arm").status_code == 409
    named = {"identifier": "urn:camera|1"}
    known = first(clinician, personas.patient, 1, **named).json()
    assert first(clinician, personas.patient, 2, **named).json()["id"] == known["id"]
    assert Lesion.everything.filter(patient=personas.patient).count() == 2


def test_a_known_identifier_is_none_of_another_patient(personas, clinician):
    first(clinician, personas.patient, identifier="urn:camera|1")
    other = PatientFactory(clinic=personas.clinic)
    response = first(clinician, other, 1, identifier="urn:camera|1")
    assert pointers(response) == {
        "/identifiers": "An image of another patient has this identifier."
    }
    assert not other.lesions.exists()


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({}, {"/lesion": "Give the lesion, or the patient of a new one."}),
        ({"lesion": "", "patient": ""}, {"/lesion": "Give either the lesion or the patient."}),
        ({"lesion": "", "label": "x"}, {"/label": "This is of a new lesion: give its patient."}),
    ],
)
def test_a_picture_is_of_a_lesion_or_of_a_new_one(personas, clinician, lesion, fields, errors):
    keys = {"lesion": str(lesion.pk), "patient": str(personas.patient.pk)}
    file = SimpleUploadedFile("mole.jpg", picture(), "image/jpeg")
    sent = {name: text or keys[name] for name, text in fields.items()}
    response = clinician.post(IMAGES, {"file": file, **sent}, format="multipart")
    assert (response.status_code, pointers(response)) == (400, errors)


def test_a_new_lesion_needs_the_scope_for_lesions(personas):
    held = ["images:write", "images:read"]
    _, secret = create_api_key(user=personas.clinician, name="x", scopes=held)
    response = first(Program(secret), personas.patient)
    assert (response.status_code, response.json()["scope"]) == (403, "lesions:write")
    assert not personas.patient.lesions.exists()


def test_a_known_picture_leads_to_its_latest_reading(clinician, lesion):
    upload(clinician, lesion)
    Prediction.objects.update(
        state="failed", failure="Broken.", finished_at=timezone.now(), lease_expires_at=None
    )
    later = PredictionFactory(image=LesionImage.objects.get(), outcome="not_assessable")
    later.reason = "blurred"
    later.save()
    again = upload(clinician, lesion)
    assert again["Location"].endswith(f"/predictions/{later.pk}/")
    assert "Retry-After" not in again


def test_a_path_is_never_told(clinician, lesion):
    text = upload(clinician, lesion).content.decode()
    image = LesionImage.objects.get()
    assert image.file.name not in text
    assert image.thumbnail.name not in text
    assert "media" not in text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\x00" * 4096, "not a JPEG, PNG, WebP"),
        (b"GIF89a" + b"\x00" * 64, "not a JPEG, PNG, WebP"),
        (picture()[:2000], "damaged or was cut off"),
    ],
)
def test_a_file_that_is_no_picture(clinician, lesion, data, words):
    response = upload(clinician, lesion, data)
    assert response.status_code == 400
    assert words in pointers(response)["/file"]
    assert not LesionImage.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("captured_on", "12 March"),
        ("captured_on", "9999-12-31"),
        ("captured_on", "1066-10-14"),
        ("captured_on", "2026-03-01\0"),
        ("modality", "x-ray"),
        ("lesion", "x"),
        ("lesion", "019ab0d2-0000-7000-8000-000000000000"),
        ("lesion", "a\0b"),
        ("caption", "mine"),
    ],
)
def test_a_field_that_is_wrong(clinician, lesion, field, value):
    response = upload(clinician, **{"lesion": lesion, field: value})
    assert response.status_code == 400
    assert set(pointers(response)) == {f"/{field}"}
    assert not LesionImage.objects.exists()


def test_an_empty_day_is_today(clinician, lesion):
    response = upload(clinician, lesion, captured_on="")
    assert response.json()["captured_on"] == timezone.localdate().isoformat()


def test_the_day_of_capture_may_be_tomorrow_elsewhere(clinician, lesion):
    tomorrow = timezone.localdate() + timedelta(days=1)
    assert upload(clinician, lesion, captured_on=tomorrow.isoformat()).status_code == 202


def test_two_files_are_refused(clinician, lesion):
    files = [SimpleUploadedFile(f"{n}.jpg", picture(n), "image/jpeg") for n in range(2)]
    response = clinician.post(IMAGES, {"lesion": str(lesion.pk), "file": files}, format="multipart")
    assert response.status_code == 400
    assert pointers(response) == {"/file": "Give this field once: one picture a request."}


def test_a_file_under_another_name_is_refused(clinician, lesion):
    response = upload(clinician, lesion, second=SimpleUploadedFile("2.jpg", picture(1)))
    assert pointers(response) == {"/second": "There is no such field."}


def test_no_file_at_all(clinician, lesion):
    for body in ({"lesion": str(lesion.pk)}, {"lesion": str(lesion.pk), "file": "C:/mole.jpg"}):
        response = clinician.post(IMAGES, body, format="multipart")
        assert response.status_code == 400
        assert set(pointers(response)) == {"/file"}


def test_what_is_neither_multipart_nor_json(clinician, lesion):
    response = clinician.generic("POST", IMAGES, b"x", content_type="image/jpeg")
    assert response.status_code == 415
    assert response.json()["type"] == "/problems/unsupported-media-type"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=b", b"--c\r\nnothing"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="fi'),
        ("multipart/form-data; boundary=\xff", b"x"),
    ],
)
def test_broken_multipart(clinician, content_type, body):
    response = clinician.generic("POST", IMAGES, body, content_type=content_type)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_an_upload_that_is_too_large_is_not_read(clinician):
    response = clinician.generic(
        "POST",
        IMAGES,
        b"x",
        content_type="multipart/form-data; boundary=b",
        CONTENT_LENGTH=str(MAX_UPLOAD_BYTES + 1),
    )
    assert response.status_code == 413
    assert "20 MB" in response.json()["detail"]


def test_too_many_fields(clinician, lesion, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 5
    response = upload(clinician, lesion, **{f"x{n}": "1" for n in range(9)})
    assert response.status_code == 400
    assert response.json()["type"] == "/problems/malformed"


def test_a_viewer_adds_no_picture(personas, client_of, lesion):
    response = upload(client_of(personas.viewer), lesion)
    assert response.status_code == 403
    assert not LesionImage.objects.exists()


def test_a_lesion_of_others_does_not_exist(personas, client_of, lesion):
    response = upload(client_of(personas.colleague), lesion)
    assert response.status_code == 400
    assert pointers(response) == {"/lesion": "There is no such lesion, or it is not yours."}


@pytest.mark.parametrize("rendition", ["image", "thumbnail"])
def test_the_picture_comes_back_with_the_key_and_is_logged(personas, clinician, lesion, rendition):
    body = upload(clinician, lesion).json()
    response = clinician.get(body[f"{rendition}_url"], HTTP_ACCEPT="image/*")
    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"
    assert response["Cache-Control"] == "private, no-cache"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"] == f'inline; filename="{body["id"]}.jpg"'
    stored = getattr(LesionImage.objects.get(), {"image": "file"}.get(rendition, rendition))
    with stored.open("rb") as file:
        assert b"".join(response.streaming_content) == file.read()
    name = {"image": "file"}.get(rendition, rendition)
    (entry,) = looks_at(LesionImage.objects.get(), what=f"api:image-{name}")
    assert entry.actor == personas.clinician.pk


def test_a_picture_that_one_has_is_checked_and_not_sent_again(clinician, lesion):
    url = upload(clinician, lesion).json()["image_url"]
    seen = clinician.get(url)
    assert seen.getvalue()
    again = clinician.get(url, HTTP_IF_NONE_MATCH=seen["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert len(entries(what="api:image-file")) == 2


def test_a_picture_of_others_is_neither_shown_nor_logged(personas, client_of, lesion):
    image = LesionImageFactory(lesion=lesion)
    for name in ("file", "thumbnail"):
        response = client_of(personas.colleague).get(f"{IMAGES}{image.pk}/{name}")
        assert response.status_code == 404
        assert response["Content-Type"] == "application/problem+json"
    assert not looks_at(image)


def test_a_lost_file_is_a_problem_and_no_crash(clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    image.file.storage.delete(image.file.name)
    response = clinician.get(f"{IMAGES}{image.pk}/file")
    assert response.status_code == 404


def test_behind_nginx_the_file_is_named_and_not_sent(clinician, lesion, settings):
    settings.MEDIA_ACCEL_PREFIX, settings.ENCRYPT_AT_REST = "/protected/", False
    image = LesionImageFactory(lesion=lesion)
    response = clinician.get(f"{IMAGES}{image.pk}/file")
    assert response["X-Accel-Redirect"] == f"/protected/{image.file.name}"
    assert response.content == b""


def test_a_known_picture_with_another_day_says_so(clinician, lesion):
    days = ("2026-03-01", "2026-03-01", "2020-01-01")
    first, again, other = (
        clinician.post(
            "/api/v1/images/",
            {
                "lesion": str(lesion.pk),
                "file": SimpleUploadedFile("mole.jpg", picture(), "image/jpeg"),
                "captured_on": day,
            },
            format="multipart",
        )
        for day in days
    )
    assert [first.status_code, again.status_code, other.status_code] == [202, 200, 200]
    assert first.json()["remark"] == again.json()["remark"] == ""
    assert other.json()["captured_on"] == "2026-03-01"
    assert "2026-03-01. The day sent, 2020-01-01, is not taken over" in other.json()["remark"]


def test_a_known_picture_of_another_kind_says_so(clinician, lesion):
    first, other = (
        clinician.post(
            "/api/v1/images/",
            {
                "lesion": str(lesion.pk),
                "file": SimpleUploadedFile("mole.jpg", picture(), "image/jpeg"),
                "modality": kind,
            },
            format="multipart",
        )
        for kind in ("clinical", "dermatoscopic")
    )
    assert first.json()["remark"] == ""
    assert other.json()["modality"] == "clinical"
    assert "not read for a class: correct its kind" in other.json()["remark"]
