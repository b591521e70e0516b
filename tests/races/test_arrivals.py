"""What comes to a lesion at the same moment is seen in the order of its moments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.db import connection, transaction

from ml import reader
from screening.models import Prediction
from screening.predictions import arrivals, counting_reading
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory

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
            counting_reading.count(slow)
            counted.set()
            shown.wait(2)
        connection.close()

    def second():
        counted.wait(10)
        counting_reading.count(quick)
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
