"""Consent: for a clinic's first record, and to research."""

from __future__ import annotations

import csv
import io
import re

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts import agreements, services
from screening.models import Batch, Patient
from screening.privacy import consents
from tests.api.conftest import pointers
from tests.batches.uploads import batch_of, many
from tests.batches.working import work_off
from tests.clients import Program
from tests.factories import (
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
)

pytestmark = pytest.mark.django_db
NEW = {"label": "First"}


@pytest.fixture
def doctor(db):
    """Of a clinic that has not confirmed yet."""
    return MembershipFactory().user


@pytest.fixture
def clinic(doctor):
    return doctor.memberships.get().clinic


@pytest.fixture
def program(doctor, clinic):
    _, secret = services.create_api_key(user=doctor, name="K", clinic=clinic)
    return Program(secret)


def test_a_clinics_first_record_asks_whether_its_patients_consent(client, doctor, clinic):
    client.force_login(doctor)
    new = NEW | {"clinic": str(clinic.pk)}
    answer = client.post("/patients/new/", new)
    assert answer.context["form"].errors.keys() == {"confirms"}
    assert client.post("/patients/new/", new | {"confirms": "on"}).status_code == 302
    assert agreements.clinic_has_confirmed(clinic)
    assert "confirms" not in client.get("/patients/new/").content.decode()
    assert client.post("/patients/new/", {**new, "label": "Second"}).status_code == 302


def test_a_record_of_ones_own_asks_for_nothing_about_clinics(client, doctor, clinic):
    client.force_login(doctor)
    assert client.post("/patients/new/", NEW | {"confirms": "on"}).status_code == 302
    assert Patient.objects.filter(owner=doctor).exists()
    assert not agreements.clinic_has_confirmed(clinic)


def test_a_programs_first_record_in_a_clinic_needs_the_confirmation(program, doctor, clinic):
    for unconfirmed in (NEW, NEW | {"confirms": False}):
        refused = program.post("/api/v1/patients/", unconfirmed)
        assert refused.status_code == 400
        assert agreements.CONFIRMATION in pointers(refused)["/confirms"]
    assert not Patient.objects.exists()
    made = program.post("/api/v1/patients/", NEW | {"confirms": True})
    assert made.status_code == 201
    assert "confirms" not in made.json()
    agreement = clinic.agreements.get()
    assert (agreement.user, agreement.version) == (doctor, agreements.version())
    assert program.post("/api/v1/patients/", {"label": "Second"}).status_code == 201
    assert clinic.agreements.count() == 1


def test_a_clinics_first_batch_asks_at_its_creation(client, doctor, clinic):
    client.force_login(doctor)
    sent = {"clinic": str(clinic.pk), "dry_run": ""}
    refused = client.post("/batches/new/", sent | {"archive": _archive()})
    assert refused.context["form"].errors.keys() == {"confirms"}
    assert not Batch.objects.exists()
    confirmed = sent | {"archive": _archive(), "confirms": "on"}
    assert client.post("/batches/new/", confirmed).status_code == 302
    assert agreements.clinic_has_confirmed(clinic)
    assert work_off(Batch.objects.get()).rows.get().state == "imported"
    assert "confirms" not in client.get("/batches/new/").content.decode()


def test_a_programs_first_batch_asks_at_its_creation(program, clinic):
    refused = program.post("/api/v1/batches/", {"archive": _archive()}, format="multipart")
    assert pointers(refused).keys() == {"/confirms"}
    sent = {"archive": _archive(), "confirms": "true"}
    assert program.post("/api/v1/batches/", sent, format="multipart").status_code == 202
    assert agreements.clinic_has_confirmed(clinic)


def _archive():
    return SimpleUploadedFile("batch.zip", batch_of(*many(1)), "application/zip")


@pytest.mark.parametrize("path", ["/api/v1/images/isic/", "/api/v1/predictions/export/"])
def test_exports_leave_out_who_did_not_consent(personas, path):
    consented, withdrawn, never = (PatientFactory(clinic=personas.clinic) for _ in range(3))
    mine = PatientFactory(own=True, owner=personas.clinician)
    images = {
        patient: LesionImageFactory(lesion__patient=patient)
        for patient in (consented, withdrawn, never, mine)
    }
    for image in images.values():
        PredictionFactory(image=image)
    for patient in (consented, withdrawn, withdrawn):
        consents.give(user=personas.clinician, patient=patient)
    consents.withdraw(user=personas.assistant, patient=withdrawn)
    _, secret = services.create_api_key(user=personas.clinician, name="K")
    answer = Program(secret).get(path)
    text = b"".join(answer.streaming_content).decode()
    rows = len(list(csv.reader(io.StringIO(text)))) - 1
    shown = {patient for patient, image in images.items() if str(image.pk) in text}
    assert shown == {consented, mine}
    assert rows == 2
    assert answer["Left-Out"] == 'rows=2, patients=2, reason="no-research-consent"'


@pytest.mark.parametrize("path", ["/api/v1/images/isic/", "/api/v1/predictions/export/"])
def test_an_export_counts_what_it_leaves_out_of_what_was_asked_for(personas, path):
    never = PatientFactory(clinic=personas.clinic)
    twice = [LesionImageFactory(lesion__patient=never) for _ in range(2)]
    mine = LesionImageFactory(
        lesion__patient__owner=personas.clinician, lesion__patient__clinic=None
    )
    other = LesionImageFactory()  # of a clinic that is not theirs
    for image in (*twice, mine, other):
        PredictionFactory(image=image)
    _, secret = services.create_api_key(user=personas.clinician, name="K")
    ask = Program(secret).get
    assert ask(path)["Left-Out"] == 'rows=2, patients=1, reason="no-research-consent"'
    narrowed = ask(path, {"lesion": str(twice[0].lesion_id)})
    assert narrowed["Left-Out"] == 'rows=1, patients=1, reason="no-research-consent"'
    assert "Left-Out" not in ask(path, {"lesion": str(mine.lesion_id)})


def test_who_may_not_write_gives_and_withdraws_nothing(personas):
    consents.give(user=personas.assistant, patient=personas.patient)
    for change in (consents.give, consents.withdraw):
        with pytest.raises(PermissionDenied):
            change(user=personas.viewer, patient=personas.patient)
    assert personas.patient.consents.get().withdrawn_at is None  # the one that stood


def test_research_is_off_until_someone_turns_it_on(client, personas):
    client.force_login(personas.self_tracker)
    path = f"/patients/{personas.own_patient.pk}/"
    before = client.get(path).content.decode()
    assert "leave this record out" in before
    assert "I consent to research" in before
    client.post(f"{path}research/", {"consents": "yes"})
    after = client.get(path).content.decode()
    assert re.search(r"You consented on .*: exports for research include", after)
    client.post(f"{path}research/", {"consents": "no"})
    consent = personas.own_patient.consents.get()
    assert consent.withdrawn_by == personas.self_tracker
    assert consent.version == agreements.version()
