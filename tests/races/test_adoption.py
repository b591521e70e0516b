"""Workers of two releases finish readings of the same images at once."""

from __future__ import annotations

from threading import local
from typing import Any

import pytest
from django.db import connection

from screening.models import Adoption, Prediction, State
from screening.predictions import adoption, queue
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory
from tests.races.test_races import at_once, faults

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs PostgreSQL: script/with-services"
    ),
]

OLD, NEW = "2026.11.4", "2026.12.1"
IMAGES = 8


@pytest.fixture
def release(monkeypatch):
    """The version that is the default in a thread's code."""
    release = local()
    monkeypatch.setattr(adoption, "own_version", lambda: release.version)
    release.version = OLD
    adoption.adopt_own()
    return release


def test_no_reading_of_the_new_default_is_turned_back(release, personas):
    lesion = LesionFactory(patient=personas.patient)
    images = LesionImageFactory.create_batch(IMAGES, lesion=lesion)
    for image in images:
        PredictionFactory(image=image, model_version=OLD, outcome="monitor")
    result = {"outcome": "monitor", "weights_sha256": "a" * 64}

    def finishing(image: Any, version: str) -> Any:
        running = PredictionFactory(image=image, running=True, model_version=version)

        def work() -> bool:
            release.version = version
            adoption.adopt_own()
            return queue.finish(running, state=State.SUCCEEDED, **result)

        return work

    works = [finishing(image, version) for image in images for version in (NEW, OLD)]
    results = at_once(*works)
    assert not faults(results) and all(results)
    versions = Prediction.objects.counting().values_list("image", "model_version")
    assert dict(versions) == {image.pk: NEW for image in images}
    assert list(Adoption.objects.values_list("model_version", flat=True)) == [NEW, OLD]


def test_sixteen_processes_adopt_one_version(release):
    def first() -> str:
        release.version = NEW
        adoption.adopt_own()
        return adoption.default()

    assert at_once(*[first] * 16) == [NEW] * 16
    assert list(Adoption.objects.values_list("number", "model_version")) == [(2, NEW), (1, OLD)]
