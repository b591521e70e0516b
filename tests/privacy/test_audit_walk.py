"""Every address: what shows or changes a person's data adds exactly one entry."""

from __future__ import annotations

from itertools import product

import pytest
from django.urls import reverse

from screening.models import Act, AuditEntry
from screening.privacy import services as audit
from tests.access import DONE, MATRIX, METHODS
from tests.privacy.entries import close
from tests.test_access_matrix import PROGRAMS
from tests.transactions import rolled_back

pytestmark = pytest.mark.django_db

PICTURES = ("image/", "application/pdf", "application/dicom;")

OF_NO_PATIENT: set[str] = set()
"""Answers that name records by identifier, kept for another system: the entry counts them."""


def shows(response, world) -> bool:
    """Whether the response names one of these records or is a picture or report of one."""
    if response.status_code == 304 or f"{response.get('Content-Type', '')};".startswith(PICTURES):
        return True
    body = response.getvalue() if response.streaming else response.content
    kinds = ("patient", "lesion", "image", "prediction", "visit", "review")
    found = [getattr(world, kind) for kind in kinds]
    words = [str(row.pk) for row in found if row is not None]
    return any(word.encode() in body for word in (*words, f">{world.patient.label}<"))


@pytest.fixture
def worlds(everything):
    """Their patients have labels that no page has by itself."""
    worlds = [everything.clinic, everything.own]
    for n, world in enumerate(worlds):
        world.patient.label = f"Walked {n}"
        world.patient.save()
    return worlds


def asked(client, method, url, sent, world):
    """What one request adds to the log; all is rolled back."""
    audit.chain_all()
    before = AuditEntry.objects.count()
    options = {}
    if url.startswith(PROGRAMS) and method not in ("GET", "HEAD"):
        options["content_type"] = sent.content_type
    with rolled_back():
        response = getattr(client, method.lower())(url, sent.body(world), **options)
        is_shown = method != "HEAD" and shows(response, world)
        close(response)
        audit.chain_all()
        added = list(AuditEntry.objects.order_by("number")[before:])
    return response, is_shown, added


@pytest.mark.parametrize("name", MATRIX)
def test_one_entry_a_request(name, worlds, clients):
    line = MATRIX[name]
    members = product(worlds[:1] if line.clinic_only else worlds, METHODS)
    for here, method in members:
        sent = line.methods.get(method)
        if sent is None:
            continue
        may = [one for one in clients if sent.answer(one, here) is DONE]
        for persona in may[:1]:
            url = reverse(name, args=line.args(here))
            response, is_shown, added = asked(clients[persona], method, url, sent, here)
            if is_shown:
                assert len(added) == 1, (name, method)
            assert len(added) <= 1, (name, method)
            for entry in added:
                if is_shown and name not in OF_NO_PATIENT:
                    assert str(here.patient.pk) in entry.details["patients"], (name, method)
                assert (entry.what, entry.act) != (name, Act.TAMPERED)
                assert entry.what == name
                assert entry.status == response.status_code
                assert entry.act == Act.WRITE or method in ("GET", "HEAD", "POST"), method
                assert entry.details["counts"] or entry.details["changes"]


def test_the_walk_sees_data_in_most_of_what_it_asks_for(worlds, clients):
    """So that it does not pass for want of anything to show."""
    shown = 0
    for name, line in MATRIX.items():
        sent = line.methods.get("GET")
        may = [one for one in clients if sent and sent.answer(one, worlds[0]) is DONE]
        if sent and may:
            url = reverse(name, args=line.args(worlds[0]))
            shown += asked(clients[may[0]], "GET", url, sent, worlds[0])[1]
    assert shown > 70
