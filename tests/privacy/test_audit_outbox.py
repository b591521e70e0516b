"""The audit log cannot be written: reads are shown all the same, and are logged later."""

from __future__ import annotations

import json
import logging

import pytest
from django.db import DataError, OperationalError
from django.urls import reverse

from screening.models import Act, AuditPart, Patient
from screening.models.signatures import AUDIT_PART, sign
from screening.privacy import outbox
from screening.privacy import services as audit
from tests.clients import Browser
from tests.privacy.entries import entries

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_waits():
    yield
    outbox._waiting.clear()


@pytest.fixture
def failing(monkeypatch):
    def fail(error: Exception) -> None:
        def save(*args, **options):
            raise error

        monkeypatch.setattr(AuditPart, "save", save)
        monkeypatch.setattr(AuditPart.objects, "bulk_create", save)

    yield fail
    monkeypatch.undo()


@pytest.fixture
def browser(personas):
    found = Browser(raise_request_exception=False)
    found.force_login(personas.clinician)
    return found


LOCKED = OperationalError("database is locked")


def test_a_page_is_shown_and_its_entry_waits_for_the_next(
    browser, personas, failing, monkeypatch, caplog
):
    page = reverse("patient", args=[personas.patient.pk])
    with caplog.at_level(logging.ERROR):
        failing(LOCKED)
        for _ in range(2):
            assert browser.get(page).status_code == 200
    logged = [one.getMessage() for one in caplog.records if one.name.endswith("outbox")]
    assert len(logged) == 2
    content = json.loads(logged[0].partition("memory: ")[2])
    assert content["actor"] == str(personas.clinician.pk)
    assert content["patients"] == [str(personas.patient.pk)]
    assert entries() == []
    monkeypatch.undo()
    browser.get(page)
    assert [(one.what, one.actor) for one in entries()] == 3 * [("patient", personas.clinician.pk)]
    assert not list(audit.broken())


@pytest.mark.parametrize(
    "address", ["/patients/{}/", "/api/v1/patients/{}/", "/fhir/R4/Patient/{}"]
)
def test_if_too_many_wait_nothing_more_is_shown_for_now(
    browser, personas, failing, monkeypatch, address
):
    monkeypatch.setattr(outbox, "MOST_WAITING", 0)
    failing(LOCKED)
    response = browser.get(address.format(personas.patient.pk))
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert "N-1" not in response.text


def test_an_error_that_does_not_pass_is_no_reason_to_wait(browser, personas, failing):
    failing(DataError("too long"))
    response = browser.get(reverse("patient", args=[personas.patient.pk]))
    assert response.status_code == 500
    assert not outbox._waiting


def test_a_change_that_cannot_be_reported_is_not_made(browser, personas, failing):
    failing(LOCKED)
    edit = reverse("patient_edit", args=[personas.patient.pk])
    response = browser.post(edit, {"label": "Another"})
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert Patient.objects.get(pk=personas.patient.pk).label == "N-1"


def test_what_is_changed_while_it_waits_to_be_chained_is_found(browser, personas):
    browser.get(reverse("patient", args=[personas.patient.pk]))
    part = AuditPart.objects.get()
    AuditPart.objects.update(content=part.content | {"actor": None})
    (entry,) = entries()
    assert entry.act == Act.TAMPERED
    assert [fault.number for fault in audit.broken()] == [entry.number]


def test_a_unit_that_goes_on_after_it_seemed_cut_off_has_two_entries(browser, personas):
    browser.get(reverse("patient", args=[personas.patient.pk]))
    (first,) = entries()
    browser.get(reverse("patient", args=[personas.patient.pk]))
    AuditPart.objects.all().delete()
    late = AuditPart(unit=first.unit, is_last=True, content={"through": "worker", "what": "late"})
    late.signature = sign(late.signed_content, AUDIT_PART)
    late.save()
    assert [one.unit for one in entries()] == 2 * [first.unit]
