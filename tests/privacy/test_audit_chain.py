"""The chain: whatever is done to an entry is found."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from screening.models import (
    Act,
    AuditEntry,
    AuditSubject,
    Patient,
    Prediction,
    Through,
    witness,
)
from screening.privacy import services as audit
from screening.privacy.recording import recorded
from tests.factories import LesionImageFactory
from tests.privacy.entries import entries

pytestmark = pytest.mark.django_db


@pytest.fixture
def five(client, personas):
    client.force_login(personas.viewer)
    for _ in range(5):
        client.get(reverse("patient", args=[personas.patient.pk]))
    found = entries()
    assert [one.number for one in found] == [1, 2, 3, 4, 5]
    assert not list(audit.broken())
    return found


def faults(**options):
    return {fault.number for fault in audit.broken(**options)}


@pytest.mark.parametrize("change", [{"actor": None}, {"act": "write"}, {"details": {}}])
def test_a_changed_entry(five, change):
    details = {"patients": [], "clinics": []} if "details" in change else None
    AuditEntry.objects.filter(number=3).update(
        **(change | ({"details": details} if details else {}))
    )
    assert 3 in faults()


def test_a_deleted_entry(five):
    AuditEntry.objects.filter(number=3).delete()
    assert faults() == {4}


def test_an_inserted_entry(five):
    forged = AuditEntry.objects.get(number=5)
    forged.number, forged.unit = 6, audit.UUID(int=1)
    forged.save(force_insert=True)
    assert faults() == {6}


def test_entries_that_changed_places(five):
    AuditEntry.objects.filter(number=2).update(number=99)
    AuditEntry.objects.filter(number=3).update(number=2)
    AuditEntry.objects.filter(number=99).update(number=3)
    assert {2, 3} <= faults()


def renumber(number: int, to: int) -> None:
    """By hand in the database, past every model."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {AuditEntry._meta.db_table} SET number = %s WHERE number = %s", [to, number]
        )


def reported(capsys) -> list[int]:
    with pytest.raises(CommandError):
        call_command("verify_audit")
    return [int(line.split()[1]) for line in capsys.readouterr().err.splitlines()]


def test_the_command_finds_a_row_inserted_in_the_middle(five, capsys):
    for number in (5, 4):
        renumber(number, number + 1)
    forged = AuditEntry.objects.get(number=3)
    forged.number, forged.unit = 4, audit.UUID(int=1)
    forged.save(force_insert=True)
    assert {4, 5, 6} == set(reported(capsys))


def test_the_command_finds_rows_in_another_order(five, capsys):
    for number, to in ((2, 99), (4, 2), (99, 4)):
        renumber(number, to)
    assert {2, 4} <= set(reported(capsys))


def test_a_hidden_subject(five):
    AuditSubject.objects.filter(entry=2, patient__isnull=False).delete()
    assert faults() == {2}


def test_a_chain_cut_off_at_the_end_is_found_by_an_anchor(five, capsys):
    call_command("verify_audit")
    anchor = capsys.readouterr().out.splitlines()[-1]
    call_command("verify_audit", anchor=anchor)
    AuditEntry.objects.filter(number__gte=4).delete()
    assert faults() == set()
    with pytest.raises(CommandError):
        call_command("verify_audit", anchor=anchor)


def test_old_entries_leave_a_signed_segment(five, client, personas):
    AuditEntry.objects.count()
    segment = audit.close_segment(before=timezone.now() + timedelta(minutes=1))
    assert (segment.first, segment.last) == (1, 5)
    assert not AuditEntry.objects.exists()
    client.get(reverse("patient", args=[personas.patient.pk]))
    assert [one.number for one in entries()] == [6]
    assert faults() == set()
    assert faults(anchor=(5, five[-1].signature)) == set()
    segment.first = 2
    segment.save()
    assert faults()


def test_a_change_names_its_fields_and_no_value(client, personas):
    client.force_login(personas.clinician)
    client.post(reverse("patient_edit", args=[personas.patient.pk]), {"label": "SECRET-NAME"})
    (entry,) = entries(act=Act.WRITE)
    assert "SECRET" not in str(entry.details)
    changed = entry.details["changes"][f"patient:{personas.patient.pk}"]
    old, new = changed["label"]
    assert old != new


def test_log_ins_and_failures(client, personas):
    personas.viewer.set_password("a long passphrase")
    personas.viewer.save()
    for password in ("wrong", "a long passphrase"):
        client.post("/accounts/login/", {"login": personas.viewer.email, "password": password})
    assert [one.act for one in entries()] == [Act.LOG_IN_FAILED, Act.LOG_IN]


def without(pk):
    return audit.forget(lambda identifier: identifier == pk.hex)


def test_a_person_is_taken_out_and_the_chain_holds(five, client, personas):
    client.get(reverse("patients"))
    client.force_login(personas.admin)
    client.post(reverse("patient_edit", args=[personas.patient.pk]), {"label": "Another"})
    pk = personas.patient.pk
    entries()
    assert without(pk) == AuditEntry.objects.filter(erased_signature__gt="").count() >= 7
    assert not list(audit.broken())
    for entry in AuditEntry.objects.all():
        assert str(pk) not in str(entry.content)
    assert not AuditSubject.objects.filter(patient=pk).exists()
    assert AuditEntry.objects.get(number=1).actor == personas.viewer.pk
    assert AuditEntry.objects.get(number=1).details["counts"]["patient"] == 1
    assert without(pk) == 0


def test_an_account_is_taken_out_with_its_address(five, personas):
    assert without(personas.viewer.pk) == 5
    for entry in AuditEntry.objects.all():
        assert (entry.actor, entry.address) == (None, None)
        assert entry.details["patients"] == [str(personas.patient.pk)]
    assert not list(audit.broken())


@pytest.mark.parametrize(
    "change", [{"what": "home"}, {"erased_signature": ""}, {"digest": "0" * 64}]
)
def test_a_change_of_what_is_left_is_found(five, personas, change):
    without(personas.viewer.pk)
    AuditEntry.objects.filter(number=3).update(**change)
    assert faults() == {3}


def test_who_has_only_the_database_takes_nobody_out(five):
    AuditEntry.objects.filter(number=3).update(actor=None, erased_signature="0" * 64)
    assert faults() == {3}


def test_an_erasure_leaves_no_identifier_behind(personas):
    with recorded(through="worker", what="erasing"), witness.unseen():
        patient = Patient.objects.get(pk=personas.patient.pk)
        patient.label = "Gone"
        patient.save()
    assert entries() == []


def test_rows_written_together_are_named_one_by_one(personas):
    image = LesionImageFactory(lesion__patient=personas.patient)
    versions = ("2026.11.2", "2026.11.4")
    with recorded(through=Through.COMMAND, what="test"):
        made = Prediction.objects.bulk_create(
            Prediction(image=image, requested_by=image.uploaded_by, model_version=version)
            for version in versions
        )
    [entry] = entries(through="command")
    assert set(entry.details["changes"]) >= {f"prediction:{one.pk}" for one in made}
