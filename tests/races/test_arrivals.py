"""Simultaneous arrivals at a lesion become visible in the order of their moments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.db import connection, transaction
from django.utils import timezone

from ml import reader
from ml.lesion.change_rules import Fired
from screening.comparisons import alerts
from screening.models import Alert, Prediction
from screening.predictions import arrivals, default_reading
from tests.factories import (
    AlertFactory,
    ComparisonFactory,
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs PostgreSQL: script/with-services"
    ),
]


def finished(lesion):
    image = LesionImageFactory(lesion=lesion)
    reading = PredictionFactory(image=image, model_version=reader.DEFAULT_VERSION)
    Prediction.objects.filter(pk=reading.pk).update(told_from=None)
    return reading


def test_nobody_is_shown_a_reading_without_the_one_before(personas):
    lesion = LesionFactory(patient=personas.patient)
    slow, quick = finished(lesion), finished(lesion)
    counted, shown = Event(), Event()

    def first():
        with transaction.atomic():
            default_reading.count(slow)
            counted.set()
            shown.wait(2)
        connection.close()

    def second():
        counted.wait(10)
        default_reading.count(quick)
        told = arrivals.last(lesion)
        seen = Prediction.objects.get(pk=slow.pk).told_from
        shown.set()
        connection.close()
        return told, seen

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.submit(first), threads.submit(second)
        one.result(30)
        told, seen = other.result(30)
    slow.refresh_from_db()
    assert slow.told_from < told
    assert seen == slow.told_from


def test_alerts_and_a_correction_do_not_wait_for_each_other(personas):
    """Both hold the lesion before they change its alerts."""
    comparison = ComparisonFactory(later__lesion__patient=personas.patient, outlines="drawn anew")
    lesion = comparison.later.lesion
    before = AlertFactory(earlier=comparison.earlier, later=comparison.later)
    held, waits = Event(), Event()

    def correct():
        with transaction.atomic():
            arrivals.hold(lesion)
            held.set()
            waits.wait(1)  # until the other one stands before the lesion
            Alert.everything.filter(pk=before.pk).update(modified=timezone.now())
        connection.close()

    def opened():
        held.wait(10)
        found = alerts._opened_all([Fired("growth", {}, {})], comparison)
        connection.close()
        return found

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.submit(correct), threads.submit(opened)
        one.result(30)
        assert len(other.result(30)) == 1
    before.refresh_from_db()
    assert before.replaced_at is not None
