"""A clinic that accepts only API keys which are bound to it."""

from __future__ import annotations

from django.urls import reverse

from accounts import services
from tests.api.test_scopes import PATIENTS, labels
from tests.clients import Browser, Program
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
)
from tests.privacy.entries import entries

CALENDAR = "/api/v1/calendar-feed/"


def key(user, clinic=None) -> Program:
    return Program(services.create_api_key(user=user, name="Script", clinic=clinic)[1])


def access_page(user, patient) -> str:
    client = Browser()
    client.force_login(user)
    return client.get(reverse("patient_access", args=[patient.pk])).text


def shut_out(personas) -> None:
    services.require_bound_keys(
        user=personas.admin, clinic=personas.clinic, requires_bound_keys=True
    )


def test_an_admin_shuts_out_keys_for_everything(
    personas, client, mailoutbox, django_capture_on_commit_callbacks
):
    member, record = personas.clinician, f"{PATIENTS}{personas.patient.pk}/"
    elsewhere = MembershipFactory(user=member).clinic
    PatientFactory(clinic=elsewhere, label="E-1")
    own = PatientFactory(clinic=None, owner=member, label="Mine")
    everything, bound = key(member), key(member, personas.clinic)
    assert labels(everything) == {"N-1", "E-1", "Mine"}
    mailoutbox.clear()

    page = access_page(personas.admin, personas.patient)
    assert "Shut out" in page
    client.force_login(personas.admin)
    with django_capture_on_commit_callbacks(execute=True):
        client.post(
            reverse("clinic_bound_keys", args=[personas.clinic.pk]), {"requires_bound_keys": "on"}
        )
    assert labels(everything) == {"E-1", "Mine"}
    assert everything.get(record).status_code == 404
    assert everything.patch(record, {"label": "X"}, format="json").status_code == 404
    assert everything.get(f"{PATIENTS}{own.pk}/").status_code == 200
    assert labels(bound) == {"N-1"}
    (mail,) = mailoutbox
    assert mail.to == [member.email]
    assert str(personas.clinic) in mail.body
    assert "- Script" in mail.body
    assert "Shut out" not in access_page(personas.admin, personas.patient)

    services.require_bound_keys(
        user=personas.admin, clinic=personas.clinic, requires_bound_keys=False
    )
    assert labels(everything) == {"N-1", "E-1", "Mine"}


def test_a_shut_out_key_makes_no_calendar_of_the_clinics_records(personas):
    everything, without_clinic = key(personas.clinician), key(personas.self_tracker)
    assert everything.post(CALENDAR).status_code == 201
    shut_out(personas)
    assert everything.post(CALENDAR).status_code == 403
    assert without_clinic.post(CALENDAR).status_code == 201


def test_the_owner_learns_who_decides_and_loses_no_key_of_their_own(personas):
    record = personas.own_patient
    record.clinic = personas.clinic
    record.save()
    own, members = key(personas.self_tracker), key(personas.clinician)
    assert f"An admin of {personas.clinic} decides" in access_page(personas.self_tracker, record)
    shut_out(personas)
    assert record.label in labels(own)
    assert record.label not in labels(members)
    page = access_page(personas.self_tracker, record)
    assert f"API key of {personas.self_tracker}" in page
    assert f"API key of {personas.clinician}" not in page


def test_the_switch_is_audited(personas, client):
    client.force_login(personas.admin)
    path = reverse("clinic_bound_keys", args=[personas.clinic.pk])
    client.post(path, {"requires_bound_keys": "on"})
    (entry,) = entries(what="clinic_bound_keys")
    assert entry.actor == personas.admin.pk
    (fields,) = [v for k, v in entry.details["changes"].items() if k.startswith("clinic:")]
    assert set(fields) == {"requires_bound_keys"}


def test_a_shut_out_key_opens_no_finding_to_its_owner(personas, client):
    """Rules are compiled once for each kind of caller: the key's is not the person's."""
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    lesion = LesionFactory(patient=personas.patient)
    PredictionFactory(image=LesionImageFactory(lesion=lesion), outcome="urgent")
    shut_out(personas)
    lesions = "/api/v1/lesions/"
    assert key(personas.clinician).get(lesions).json()["results"] == []
    for person, sees in ((personas.clinician, False), (personas.assistant, True)):
        client.force_login(person)
        text = client.get(lesions).text
        assert str(lesion.pk) in text
        assert ('"urgent"' in text) is sees
