"""Of two identical pictures of merged lesions the one is kept that may warn."""

from __future__ import annotations

from datetime import date

import pytest

from screening.corrections import merges
from screening.corrections import services as corrections
from screening.models import LesionImage
from screening.predictions import queue
from screening.predictions.queries import counting_reading
from screening.records import queries
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory

pytestmark = pytest.mark.django_db
SHA, DAY = "a" * 64, date(2026, 3, 1)


@pytest.fixture
def pair(personas):
    return tuple(LesionFactory(patient=personas.patient) for _ in range(2))


def twin(lesion, **fields):
    return LesionImageFactory(lesion=lesion, sha256=SHA, captured_on=DAY, **fields)


def told(lesion, user):
    """The outcome of its newest picture, and how many it has."""
    images = queries.timeline(lesion, user)
    return [counting_reading(one).outcome_told if counting_reading(one) else "" for one in images]


@pytest.mark.parametrize("state", ["read", "queued"])
def test_a_withdrawn_twin_takes_no_picture_away(personas, pair, state):
    user, (lesion, into) = personas.clinician, pair
    wrong = twin(into)
    PredictionFactory(image=wrong, outcome="urgent", model_version="2026.11.2")
    PredictionFactory(image=wrong, outcome="urgent")
    corrections.withdraw(user=user, record=wrong, reason="Wrong spot")
    image = twin(lesion)
    if state == "read":
        PredictionFactory(image=image, outcome="urgent")
    merges.merge_lesions(user=user, lesion=lesion, into=into, acknowledged=True)
    assert told(into, user) == ["urgent" if state == "read" else ""]


def test_nor_does_it_stand_in_the_way_of_a_live_one(personas, pair):
    user, (lesion, into) = personas.clinician, pair
    twin(into)
    gone = LesionImageFactory(lesion=into, captured_on=DAY)
    corrections.withdraw(user=user, record=gone, reason="Blurred")
    LesionImage.everything.filter(pk=gone.pk).update(sha256=SHA)
    PredictionFactory(image=twin(lesion), outcome="urgent")
    merges.merge_lesions(user=user, lesion=lesion, into=into, acknowledged=True)
    assert told(into, user) == ["urgent"]


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_photograph_does_not_replace_what_is_still_to_be_read(personas, pair, state):
    user, (lesion, into) = personas.clinician, pair
    photograph = twin(into, modality="clinical")
    PredictionFactory(image=photograph, outcome="not_assessable", reason="clinical_photograph")
    reading = PredictionFactory(image=twin(lesion), **{state: True})
    merges.merge_lesions(user=user, lesion=lesion, into=into, acknowledged=True)
    assert told(into, user) == [""]
    if state == "running":
        queue.finish(reading, state="succeeded", outcome="urgent", weights_sha256=SHA)
        assert told(into, user) == ["urgent"]
