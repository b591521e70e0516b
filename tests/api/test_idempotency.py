"""A POST with an Idempotency-Key is executed once, however often it is sent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from screening import idempotency, tasks
from screening.models import IdempotentRequest, LesionImage, Patient, Prediction
from screening.records import services as record_services
from tests.api.conftest import pointers
from tests.factories import picture

PATIENTS, IMAGES = "/api/v1/patients/", "/api/v1/images/"


def post(client, body, key="k-1", path=PATIENTS, **headers):
    return client.post(path, body, HTTP_IDEMPOTENCY_KEY=key, **headers)


def upload(client, lesion, key="k-1", **fields):
    file = SimpleUploadedFile("mole.jpg", picture(), "image/jpeg")
    body = {"lesion": str(lesion.pk), "file": file, **fields}
    return client.post(IMAGES, body, format="multipart", HTTP_IDEMPOTENCY_KEY=key)


def problem(response, status, slug):
    assert response.status_code == status, response.content
    assert response.json()["type"] == f"/problems/{slug}"


def test_sent_again_it_is_answered_as_the_first_time(clinician):
    first = post(clinician, {"label": "X"})
    again = post(clinician, {"label": "X"})
    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    assert again["Location"] == first["Location"]
    assert again["ETag"] == first["ETag"]
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert Patient.objects.filter(label="X").count() == 1


def test_without_a_key_it_is_done_again(clinician):
    for _ in range(2):
        assert clinician.post(PATIENTS, {"label": "X"}).status_code == 201
    assert not IdempotentRequest.objects.exists()


def test_an_upload_with_another_boundary_is_the_same(clinician, lesion):
    first = upload(clinician, lesion)
    again = upload(clinician, lesion)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert again["Location"] == first["Location"]
    assert Prediction.objects.count() == LesionImage.objects.count() == 1


def test_another_order_of_names_is_the_same(clinician):
    first = post(clinician, {"label": "X", "sex": "male"})
    assert post(clinician, {"sex": "male", "label": "X"}).content == first.content


@pytest.mark.parametrize("path", [PATIENTS, "/api/v1/lesions/"])
def test_another_body_or_address_is_refused(clinician, path):
    post(clinician, {"label": "X"})
    problem(post(clinician, {"label": "Y"}, path=path), 422, "key-reused")
    assert not Patient.objects.filter(label="Y").exists()


def test_another_picture_is_another_body(clinician, lesion):
    upload(clinician, lesion)
    problem(upload(clinician, lesion, modality="clinical"), 422, "key-reused")


def test_a_key_is_the_callers_own(personas, client_of):
    one, other = client_of(personas.clinician), client_of(personas.clinician)
    post(one, {"label": "X"})
    assert post(other, {"label": "Y"}).status_code == 201


def test_one_that_is_still_running_is_a_conflict(clinician):
    post(clinician, {"label": "X"})
    lease = timezone.now() + timedelta(seconds=5)
    IdempotentRequest.objects.update(answered_at=None, locked_until=lease)
    response = post(clinician, {"label": "X"})
    problem(response, 409, "in-progress")
    assert response["Retry-After"] == "1"


def test_a_crash_in_between_blocks_the_key_for_no_longer_than_the_lease(clinician):
    post(clinician, {"label": "X"})
    Patient.objects.filter(label="X").delete()  # the transaction was lost with the process
    IdempotentRequest.objects.update(answered_at=None, locked_until=timezone.now())
    assert post(clinician, {"label": "X"}).status_code == 201
    assert Patient.objects.filter(label="X").count() == 1


def test_what_lost_its_lease_changes_nothing(clinician, monkeypatch):
    """Another process has taken the key over: only one may be executed."""
    made = record_services.register_patient

    def slow(**fields):
        IdempotentRequest.objects.update(locked_until=timezone.now() + timedelta(minutes=9))
        return made(**fields)

    monkeypatch.setattr(record_services, "register_patient", slow)
    problem(post(clinician, {"label": "X"}), 409, "in-progress")
    assert not Patient.objects.filter(label="X").exists()


def test_a_refusal_leaves_the_key_free(clinician):
    assert set(pointers(post(clinician, {"label": ""}))) == {"/label"}
    assert post(clinician, {"label": "X"}).status_code == 201


def test_a_bug_leaves_the_key_free(clinician, monkeypatch):
    def broken(**_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(record_services, "register_patient", broken)
        clinician.raise_request_exception = False
        assert post(clinician, {"label": "X"}).status_code == 500
    assert not IdempotentRequest.objects.exists()
    assert post(clinician, {"label": "X"}).status_code == 201


def test_an_answer_is_kept_for_a_day(clinician):
    first = post(clinician, {"label": "X"})
    IdempotentRequest.objects.update(created=timezone.now() - idempotency.KEPT)
    assert post(clinician, {"label": "X"}).json()["id"] != first.json()["id"]


def test_the_sweep_forgets_what_is_old(clinician):
    post(clinician, {"label": "X"})
    tasks.forget_answers_and_tokens_task()
    assert IdempotentRequest.objects.count() == 1
    IdempotentRequest.objects.update(created=timezone.now() - timedelta(hours=25))
    tasks.forget_answers_and_tokens_task()
    assert not IdempotentRequest.objects.exists()


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_a_key_that_is_none(clinician, key):
    response = post(clinician, {"label": "X"}, key=key)
    problem(response, 400, "malformed")
    assert "Idempotency-Key" in response.json()["detail"]
