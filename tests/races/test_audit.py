"""The audit log while many write and several workers chain: nothing is lost, the chain holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from screening.models import AuditEntry, AuditPart, Patient
from screening.privacy import services as audit
from screening.privacy.recording import recorded
from tests.factories import PatientFactory
from tests.races.test_races import at_once, faults

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs PostgreSQL: script/with-services"
    ),
]

TIMES = 20


def test_two_write_while_two_chain(personas):
    patients = PatientFactory.create_batch(2, clinic=personas.clinic)

    def write(patient: Patient) -> Callable[[], Any]:
        def work() -> None:
            for number in range(TIMES):
                with recorded(through="worker", what=f"{patient.pk} {number}"):
                    found = Patient.objects.get(pk=patient.pk)
                    found.label = f"{patient.pk.hex[-8:]} {number}"
                    found.save()

        return work

    def chain() -> None:
        for _ in range(TIMES):
            audit.chain_some()

    assert not faults(at_once(*(write(one) for one in patients), chain, chain))
    audit.chain_all()
    assert not AuditPart.objects.exists()
    entries = list(AuditEntry.objects.order_by("number"))
    for patient in patients:
        said = [one.what for one in entries if one.what.startswith(str(patient.pk))]
        assert said == [f"{patient.pk} {number}" for number in range(TIMES)]
    for entry in entries:
        if entry.what.startswith(tuple(str(one.pk) for one in patients)):
            assert entry.act == "write"
            assert entry.details["counts"] == {"patient": 1}
    assert [one.number for one in entries] == list(range(1, len(entries) + 1))
    assert not list(audit.broken())


def test_a_segment_is_closed_while_others_chain(personas):
    for number in range(TIMES):
        with recorded(through="worker", what=str(number)):
            Patient.objects.get(pk=personas.patient.pk)
    audit.chain_all()
    middle = AuditEntry.objects.get(number=TIMES // 2).at

    def chain() -> None:
        for number in range(TIMES):
            with recorded(through="worker", what=f"later {number}"):
                Patient.objects.get(pk=personas.patient.pk)
            audit.chain_some()

    def close() -> None:
        audit.close_segment(before=middle)

    assert not faults(at_once(chain, chain, close, close))
    audit.chain_all()
    assert not list(audit.broken())
    assert AuditEntry.objects.order_by("number").last().number == 3 * TIMES
