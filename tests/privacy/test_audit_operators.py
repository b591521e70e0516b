"""What operators and workers see or change: each page, command or task adds exactly one entry."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command, get_commands, load_command_class
from django.urls import reverse

from screening import tasks
from screening.models import AuditEntry, DataKey, Through, witness
from screening.privacy import services as audit
from screening.privacy.commands import RecordedCommand
from skincheck_site.celery import app as celery
from tests.accounts.test_admin import operator, rows  # noqa: F401  fixtures
from tests.factories import LesionImageFactory
from tests.privacy.entries import entries
from tests.test_access_matrix import world_of

pytestmark = pytest.mark.django_db


def test_the_operators_pages(client, operator, rows):  # noqa: F811
    client.force_login(operator)
    audit.chain_all()
    AuditEntry.objects.all().delete()
    for model in admin.site._registry:
        row = model._default_manager.first()
        if model not in witness.ways() or model is DataKey or row is None:  # a key tells of nobody
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
