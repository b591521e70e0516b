"""Consent: for a clinic's first record, and to research."""

from __future__ import annotations

import csv
import io
import re

import pytest
from django.core.exceptions import PermissionDenied

from accounts import agreements, services
from screening.models import Patient
from screening.privacy import consents
from tests.clients import Program
from tests.factories import LesionImageFactory, PatientFactory, PredictionFactory

pytestmark = pytest.mark.django_db
NEW = {"label": "First"}


def test_a_clinics_first_record_asks_whether_its_patients_consent(client, personas):
    client.force_login(personas.clinician)
    new = NEW | {"clinic": str(personas.clinic.pk)}
    answer = client.post("/patients/new/", new)
    assert answer.context["form"].errors.keys() == {"confirms"}
    assert client.post("/patients/new/", new | {"confirms": "on"}).status_code == 302
    assert agreements.clinic_has_confirmed(personas.clinic)
    assert "confirms" not in client.get("/patients/new/").content.decode()
    assert client.post("/patients/new/", {**new, "label": "Second"}).status_code == 302


def test_a_record_of_ones_own_asks_for_nothing_about_clinics(client, personas):
    client.force_login(personas.clinician)
    assert client.post("/patients/new/", NEW).status_code == 302
    assert Patient.objects.filter(owner=personas.clinician).exists()
    assert not agreements.clinic_has_confirmed(personas.clinic)


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
