"""Concurrent corrections: whatever the order, the record stays consistent."""

from __future__ import annotations

import re
from itertools import count

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from screening import write_access
from screening.corrections import merges, moves, services
from screening.models import Correction, Lesion, LesionImage, Patient
from screening.records import services as record_services
from screening.reviews import services as review_services
from screening.web.forms import conflicts
from tests.factories import LesionFactory, LesionImageFactory, PatientFactory, ReminderFactory
from tests.races.test_races import at_once, faults
from tests.records.test_services import add

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs PostgreSQL: script/with-services"
    ),
]
ROUNDS = 8
seeds = count(1)


def assert_whole():
    """Nothing is lost: existing records belong to existing records, and merged ones are empty."""
    assert not Lesion.objects.filter(patient__merged_into__isnull=False).exists()
    assert not LesionImage.objects.filter(lesion__merged_into__isnull=False).exists()
    for model in (Lesion, Patient):
        merged = model.everything.exclude(merged_into=None)
        assert not merged.filter(withdrawn_at=None).exists()
    for image in LesionImage.everything.exclude(withdrawn_at=None):
        last = Correction.objects.filter(image=image, kind="withdrawn").count()
        assert last >= 1


def only_refused(results):
    """The later one is rejected with a message, and nothing else happens."""
    assert all(isinstance(one, ValidationError) for one in faults(results)), results


@pytest.mark.parametrize("_", range(ROUNDS))
def test_withdraw_move_and_merge(personas, _):
    one, other, third = LesionFactory.create_batch(3, patient=personas.patient)
    image = LesionImageFactory(lesion=one)
    user = personas.clinician
    results = at_once(
        lambda: services.withdraw(user=user, record=image, reason="x"),
        lambda: moves.move_image(user=personas.admin, image=image, lesion=third),
        lambda: merges.merge_lesions(user=personas.assistant, lesion=one, into=other),
    )
    only_refused(results)
    assert_whole()
    image.refresh_from_db()
    assert image.lesion in (other, third)
    one.refresh_from_db()
    assert one.merged_into == other


@pytest.mark.parametrize("_", range(ROUNDS))
def test_two_lesions_merged_into_one_another(personas, _):
    one, other = LesionFactory.create_batch(2, patient=personas.patient)
    images = {LesionImageFactory(lesion=lesion) for lesion in (one, other)}
    results = at_once(
        lambda: merges.merge_lesions(user=personas.clinician, lesion=one, into=other),
        lambda: merges.merge_lesions(user=personas.admin, lesion=other, into=one),
    )
    only_refused(results)
    assert len(faults(results)) == 1
    assert_whole()
    left = Lesion.objects.get()
    assert set(left.images.all()) == images


@pytest.mark.parametrize("_", range(ROUNDS))
def test_a_picture_and_a_diagnosis_added_while_it_is_merged(personas, settings, _):
    one, other = LesionFactory.create_batch(2, patient=personas.patient)
    results = at_once(
        lambda: add(personas.assistant, one, next(seeds)),
        lambda: review_services.record_histology(
            user=personas.clinician, lesion=one, diagnosis="nv", examined_on=one.created.date()
        ),
        lambda: merges.merge_lesions(user=personas.admin, lesion=one, into=other),
    )
    only_refused(results)
    assert_whole()
    kept = 2 - len(faults(results))
    assert other.images.count() + other.histologies.count() == kept


@pytest.mark.parametrize("_", range(ROUNDS))
def test_a_lesion_opened_and_edited_while_its_patient_is_merged(personas, _):
    into = PatientFactory(clinic=personas.clinic)
    lesion = LesionFactory(patient=personas.patient)
    record_services.open_lesion(user=personas.assistant, patient=personas.patient)
    results = at_once(
        lambda: record_services.open_lesion(user=personas.assistant, patient=personas.patient),
        lambda: record_services.open_lesion(user=personas.assistant, patient=into),
        lambda: record_services.edit_lesion(user=personas.clinician, lesion=lesion, notes="x"),
        lambda: merges.merge_patients(user=personas.admin, patient=personas.patient, into=into),
    )
    refused = faults(results)
    assert not [one for one in refused if isinstance(one, connection.Database.Error)]
    assert_whole()
    assert Lesion.objects.filter(patient=into).count() == Lesion.objects.count()
    labels = Lesion.objects.values_list("label", flat=True)
    assert len(set(labels)) == len(labels)
    lesion.refresh_from_db()
    assert lesion.patient == into


def test_the_patient_is_locked_first(personas):
    """Whatever a form or a program locks before it changes something."""
    image = LesionImageFactory(lesion__patient=personas.patient)
    reminder = ReminderFactory(lesion=image.lesion)
    for record, tables in (
        (personas.patient, ["patient"]),
        (image.lesion, ["patient", "lesion"]),
        (image, ["patient", "lesion", "lesionimage"]),
        (reminder, ["patient", "lesion", "reminder"]),
    ):
        fresh = record._meta.model._base_manager.get(pk=record.pk)
        with transaction.atomic(), CaptureQueriesContext(connection) as queries:
            write_access.lock(fresh)
        sent = [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
        assert [re.search(r'FROM "screening_(\w+)"', sql)[1] for sql in sent] == tables


@pytest.mark.parametrize("_", range(ROUNDS))
def test_details_corrected_on_a_page_while_its_lesion_is_merged(personas, _):
    one, other = LesionFactory.create_batch(2, patient=personas.patient)
    image = LesionImageFactory(lesion=one)

    def correct():
        return conflicts.write_unchanged(
            lambda: services.withdraw(user=personas.clinician, record=image, reason="x"),
            locked=image,
            standing=dict,
            seen="{}",
            wanted={},
        )

    results = at_once(
        correct,
        lambda: merges.merge_lesions(user=personas.admin, lesion=one, into=other),
        lambda: add(personas.assistant, one, next(seeds)),
    )
    only_refused(results)
    assert_whole()
