"""Who looked at my record; the clinic's audit log with its filters and table."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from django.apps import apps
from django.urls import reverse
from django.utils import timezone

from accounts import applications, services
from screening.models import AuditEntry, Patient, witness
from screening.privacy import presenters, recording, sharing
from screening.privacy import services as audit
from tests.access import MATRIX
from tests.api.test_scopes import token_for
from tests.clients import Browser, Program
from tests.exports.conftest import fill
from tests.factories import LesionFactory, PatientFactory

pytestmark = pytest.mark.django_db


def of(user) -> Browser:
    client = Browser()
    client.force_login(user)
    return client


def shown(client, name, pk, **query):
    """The page's entries, as (who, did)."""
    audit.chain_all()
    response = client.get(reverse(name, args=[pk]), query)
    assert response.status_code == 200
    looks = response.context["page"].object_list
    for look in looks:
        assert look.did in response.text
    return [(look.who, look.did) for look in looks]


def table(client, clinic, **query):
    audit.chain_all()
    response = client.get(reverse("clinic_audit_table", args=[clinic.pk]), query)
    return list(csv.DictReader(io.StringIO(response.getvalue().decode())))


@pytest.fixture
def looked(personas):
    """A viewer looked at a list, a record and a spot; an assistant changed the record."""
    lesion = LesionFactory(patient=personas.patient)
    viewer, record = of(personas.viewer), reverse("patient", args=[personas.patient.pk])
    viewer.get(reverse("patients"))
    viewer.get(record)
    viewer.get(reverse("lesion", args=[lesion.pk]))
    edit = reverse("patient_edit", args=[personas.patient.pk])
    sent = of(personas.assistant).post(edit, {"label": "N-2", "birth_year": "1970"})
    assert sent.status_code == 302
    return lesion


def test_the_latest_first_in_plain_words(personas, looked):
    viewer, assistant = str(personas.viewer), str(personas.assistant)
    found = shown(of(personas.admin), "patient_looks", personas.patient.pk)
    assert found[:3] == [
        (assistant, "Changed the record"),
        (viewer, "Looked at the record and a spot"),
        (viewer, "Looked at the record and a spot"),
    ]
    text = of(personas.admin).get(reverse("patient_looks", args=[personas.patient.pk])).text
    (said,) = re.findall("Changed: (.*)<", text)
    assert set(said.split(", ")) >= {"label", "birth year"}


def test_a_program_is_named_by_its_key_or_application(personas, client):
    """Its identifier is in the entry, its name in the words."""
    key, secret = services.create_api_key(user=personas.clinician, name="Our script")
    application, password = applications.register_application(
        user=personas.admin,
        clinic=personas.clinic,
        name="Practice system",
        role="assistant",
        scopes=["patients:read"],
    )
    token = token_for(client, (application, password)).json()["access_token"]
    for one in (secret, token):
        found = Program(one).get(f"/api/v1/patients/{personas.patient.pk}/")
        assert found.status_code == 200
    audit.chain_all()
    shown = of(personas.admin).get(reverse("patient_looks", args=[personas.patient.pk]))
    looks = [look for look in shown.context["page"].object_list if look.entry.through == "api"]
    assert {(look.entry.key, look.way) for look in looks} == {
        (key.pk, "through the API, Our script"),
        (application.pk, "through the API, Practice system"),
    }


def test_the_person_sees_their_own_looks_as_theirs(personas):
    client = of(personas.self_tracker)
    client.get(reverse("patient", args=[personas.own_patient.pk]))
    found = shown(client, "patient_looks", personas.own_patient.pk)
    assert found[0] == ("You", "Looked at the record")
    assert reverse("patient_looks", args=[personas.own_patient.pk]) in client.get("/account/").text
    page = client.get(reverse("patient", args=[personas.own_patient.pk]))
    assert "Who looked at my record" in page.text


def test_a_list_with_others_names_no_record(personas, looked):
    other = PatientFactory(clinic=personas.clinic, label="OTHER-ONE")
    of(personas.viewer).get(reverse("patients"))
    found = shown(of(personas.admin), "patient_looks", personas.patient.pk)
    assert found[0][1] == "Saw it in a list with others"
    page = of(personas.admin).get(reverse("patient_looks", args=[personas.patient.pk]))
    assert other.label not in page.text
    assert str(other.pk) not in page.text


def test_what_the_software_did_is_shown_if_asked_for(personas, looked):
    with recording.recorded(through="worker", what="a task"):
        Patient.objects.get(pk=personas.patient.pk)
    client = of(personas.admin)
    software = ("The software itself", "Looked at the record")
    assert software not in shown(client, "patient_looks", personas.patient.pk)
    assert software in shown(client, "patient_looks", personas.patient.pk, all="1")


def test_whoever_opened_a_link_is_named_by_it(personas):
    _, secret = sharing.share(
        user=personas.self_tracker, patient=personas.own_patient, recipient="Dr Weber", days=7
    )
    Browser().get(reverse("shared", args=[secret]))
    client = of(personas.self_tracker)
    (who, _), *_ = shown(client, "patient_looks", personas.own_patient.pk)
    assert who == "Someone with a link"
    page = client.get(reverse("patient_looks", args=[personas.own_patient.pk]))
    assert "the link for Dr Weber" in page.text


def test_the_clinics_filters(personas, looked):
    second = PatientFactory(clinic=personas.clinic, label="Another one")
    of(personas.clinician).get(reverse("patient", args=[second.pk]))
    client, pk = of(personas.admin), personas.clinic.pk
    everything = shown(client, "clinic_audit", pk)
    assert {who for who, _ in everything} == {
        str(one) for one in (personas.viewer, personas.assistant, personas.clinician)
    }
    by_viewer = shown(client, "clinic_audit", pk, who=str(personas.viewer.pk))
    assert {who for who, _ in by_viewer} == {str(personas.viewer)}
    assert len(by_viewer) == 3
    by_clinician = {"who": str(personas.clinician.pk)}
    assert shown(client, "clinic_audit", pk, patient="another", **by_clinician) == [
        (str(personas.clinician), "Looked at the record")
    ]
    changes = shown(client, "clinic_audit", pk, act="write")
    assert changes == [(str(personas.assistant), "Changed the record")]
    today = timezone.localdate()
    assert len(shown(client, "clinic_audit", pk, first=today, last=today)) >= len(everything)
    assert shown(client, "clinic_audit", pk, first=today + timedelta(days=1)) == []
    assert shown(client, "clinic_audit", pk, last=today - timedelta(days=1)) == []
    assert shown(client, "clinic_audit", pk, who="others") == []


def test_a_filter_that_is_wrong_is_said(personas, looked):
    page = of(personas.admin).get(
        reverse("clinic_audit", args=[personas.clinic.pk]), {"first": "yesterday", "who": "x"}
    )
    assert page.status_code == 200
    assert "Enter a valid date" in page.text


def test_nothing_of_another_clinic_or_person(personas, looked):
    of(personas.self_tracker).get(reverse("patient", args=[personas.own_patient.pk]))
    of(personas.colleague).get(reverse("patients"))
    names = {who for who, _ in shown(of(personas.admin), "clinic_audit", personas.clinic.pk)}
    assert not names & {str(personas.self_tracker), str(personas.colleague)}


def test_the_table_is_guarded_and_filtered(personas, looked):
    personas.viewer.first_name, personas.viewer.last_name = "=HYPERLINK(1)", ""
    personas.viewer.save()
    rows = table(of(personas.admin), personas.clinic, who=str(personas.viewer.pk))
    assert len(rows) == 3
    assert {row["who"] for row in rows} == {"'=HYPERLINK(1)"}
    assert {row["account"] for row in rows} == {str(personas.viewer.pk)}
    assert {row["patients"] for row in rows} == {"N-2"}
    assert {row["address"] for row in rows} == {"127.0.0.1"}


def test_the_address_of_the_person_is_not_shown_to_the_clinic(personas):
    personas.patient.owner = personas.self_tracker
    personas.patient.save()
    of(personas.self_tracker).get(reverse("patient", args=[personas.patient.pk]))
    (row,) = table(of(personas.admin), personas.clinic, who="others")
    assert row["who"] == str(personas.self_tracker)
    assert row["address"] == ""


def test_pages_and_the_table_are_read_themselves(personas, looked):
    """Whoever looks at who looked is in the log as well."""
    client = of(personas.admin)
    for name, pk in (
        ("patient_looks", personas.patient.pk),
        ("clinic_audit", personas.clinic.pk),
    ):
        shown(client, name, pk)
        audit.chain_all()
        assert AuditEntry.objects.filter(what=name, actor=personas.admin.pk).count() == 1
    table(client, personas.clinic)
    audit.chain_all()
    assert AuditEntry.objects.filter(what="clinic_audit_table").count() == 1


def test_long_lists_are_paged_in_few_queries(personas, looked, django_assert_max_num_queries):
    record = reverse("patient", args=[personas.patient.pk])
    viewer = of(personas.viewer)
    for _ in range(55):
        viewer.get(record)
    audit.chain_all()
    client = of(personas.admin)
    for name, pk in (
        ("patient_looks", personas.patient.pk),
        ("clinic_audit", personas.clinic.pk),
    ):
        with django_assert_max_num_queries(15):
            page = client.get(reverse(name, args=[pk])).context["page"]
        assert len(page.object_list) == 50
        assert page.has_next()
        assert client.get(reverse(name, args=[pk]), {"page": "2"}).status_code == 200


def test_every_kind_has_a_noun():
    kinds = {*witness.ways_by_name(), *(m._meta.model_name for m in recording.tables().values())}
    ours = {
        model._meta.model_name
        for app in ("screening", "accounts")
        for model in apps.get_app_config(app).get_models()
    }
    accounts = {"user", "agreement"}
    assert (kinds & ours) - accounts == presenters.NOUNS.keys()


def test_the_downloads_are_addresses():
    assert presenters.DOWNLOADS.keys() <= MATRIX.keys()


def test_every_kind_can_be_said(personas):
    """A change of each kind of row, in words."""
    with recording.recorded(through="command", what="fill"):
        fill(personas.own_patient, personas.self_tracker)
    found = shown(of(personas.self_tracker), "patient_looks", personas.own_patient.pk)
    who, did = found[0]
    assert who == "An operator, by a command"
    assert did.startswith("Added ")
