"""Every address and operation: what shows or changes a person's data adds exactly one entry."""

from __future__ import annotations

from itertools import product

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command, get_commands, load_command_class
from django.db import transaction
from django.urls import reverse

from screening import tasks
from screening.models import Act, AuditEntry, Through, witness
from screening.privacy import services as audit
from screening.privacy.commands import RecordedCommand
from skincheck_site.celery import app as celery
from tests.access import DONE, MATRIX, METHODS
from tests.accounts.test_admin import operator, rows  # noqa: F401  fixtures
from tests.factories import LesionImageFactory
from tests.privacy.entries import close, entries
from tests.test_access_matrix import clients_of, world_of

pytestmark = pytest.mark.django_db

PICTURES = ("image/", "application/pdf", "application/dicom")

OF_NO_PATIENT: set[str] = set()
"""Answers that name records by identifier, kept for another system: the entry counts them."""


def shows(response, world) -> bool:
    """Whether the response names one of these records or is a picture or report of one."""
    if response.status_code == 304 or response.get("Content-Type", "").startswith(PICTURES):
        return True
    body = response.getvalue() if response.streaming else response.content
    kinds = ("patient", "lesion", "image", "prediction", "visit", "review")
    found = [getattr(world, kind) for kind in kinds]
    words = [str(row.pk) for row in found if row is not None]
    return any(word.encode() in body for word in (*words, f">{world.patient.label}<"))


@pytest.fixture
def clients(personas):
    return clients_of(personas)


@pytest.fixture
def worlds(personas):
    return [world_of(personas, writer) for writer in ("clinician", "self_tracker")]


@pytest.fixture(autouse=True)
def _labels_that_no_page_has_by_itself(personas):
    for n, patient in enumerate((personas.patient, personas.own_patient)):
        patient.label = f"Walked {n}"
        patient.save()


def asked(client, method, url, sent, world):
    """What one request adds to the log; all is rolled back."""
    audit.chain_all()
    before = AuditEntry.objects.count()
    options = {}
    if url.startswith(("/api/", "/fhir/")) and method not in ("GET", "HEAD") and not sent.multipart:
        options["content_type"] = "application/json"
    with transaction.atomic():
        response = getattr(client, method.lower())(url, sent.body(world), **options)
        is_shown = method != "HEAD" and shows(response, world)
        close(response)
        audit.chain_all()
        added = list(AuditEntry.objects.order_by("number")[before:])
        transaction.set_rollback(True)
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


def test_the_operators_pages(client, operator, rows):  # noqa: F811
    client.force_login(operator)
    audit.chain_all()
    AuditEntry.objects.all().delete()
    for model in admin.site._registry:
        row = model._default_manager.first()
        if model not in witness.ways() or row is None:
            continue
        for page, args in (("changelist", []), ("change", [row.pk])):
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
            assert client.get(reverse(name, args=args)).status_code == 200
            (entry,) = entries(what=name)
            assert (entry.through, entry.actor) == (Through.ADMIN, operator.pk)
            assert entry.details["counts"][model._meta.model_name] >= 1
    assert AuditEntry.objects.count() > 20


def test_every_command_of_ours_is_recorded():
    """But ``sweep``, which never ends: each of its steps is."""
    ours = {config.name for config in apps.get_app_configs()} & {"screening", "accounts"}
    for name, app in get_commands().items():
        if app in ours and name != "sweep":
            assert isinstance(load_command_class(app, name), RecordedCommand), name


def test_a_command_is_one_entry(personas):
    world = world_of(personas, "clinician")
    call_command("verify_reviews")
    (entry,) = entries()
    assert (entry.through, entry.what, entry.actor) == (Through.COMMAND, "verify_reviews", None)
    assert entry.details["counts"]["review"] == 1
    assert entry.details["patients"] == [str(world.patient.pk)]


def test_every_task_is_recorded_and_is_one_entry(personas):
    ours = [task for name, task in celery.tasks.items() if name.startswith("screening.")]
    assert ours
    assert all(isinstance(task, celery.Task) for task in ours)
    image = LesionImageFactory(lesion__patient=personas.patient)
    other = LesionImageFactory(lesion=image.lesion)
    tasks.compare_task([str(image.pk), str(other.pk)])
    (entry,) = entries()
    assert (entry.through, entry.what) == (Through.WORKER, "screening.tasks.compare_task")
    assert entry.details["patients"] == [str(personas.patient.pk)]
