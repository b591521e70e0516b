"""The lesion that looks least like the others ranks first, whatever the rest look like."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from ml import reader
from screening.models import PredictionMaps
from screening.models.fields import SealedBytes
from screening.predictions import ugly_duckling
from screening.sealing import MAGIC
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
    PredictionMapsFactory,
)

WIDTH = 1024

NEW = reader.DEFAULT_VERSION


def features(seed, pattern=0):
    """Like the network's: non-negative, a third of them non-zero. One pattern per kind of
    lesion.
    """
    common = np.maximum(np.random.default_rng(1000 + pattern).normal(-0.4, 1, WIDTH), 0)
    own = np.random.default_rng(seed).normal(0, 0.15, WIDTH)
    return np.maximum(common + own, 0).astype(np.float16)


def read(patient, vector, *, lesion=None, captured_on=date(2026, 3, 1), **fields):
    lesion = lesion or LesionFactory(patient=patient)
    image = LesionImageFactory(lesion=lesion, captured_on=captured_on)
    prediction = PredictionFactory(image=image, **fields)
    stored = None if vector is None else vector.tobytes()
    PredictionMapsFactory(prediction=prediction, features=stored)
    return prediction


def ranking(patient, user):
    return ugly_duckling.ranking(patient, list(patient.lesions.all()), user)


@pytest.mark.parametrize("count", [5, 6, 30])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_the_odd_one_is_farthest(count, place):
    rows = [features(seed, pattern=int(seed == place)) for seed in range(count)]
    away = ugly_duckling.distances(np.stack(rows).astype(float))
    assert away.argmax() == place
    assert away[place] > 3 * np.delete(away, place).max()
    assert ((away >= 0) & (away <= 2)).all()


def test_two_odd_ones_do_not_hide_each_other():
    rows = [features(seed, pattern=int(seed < 2)) for seed in range(9)]
    away = ugly_duckling.distances(np.stack(rows).astype(float))
    assert set(np.argsort(-away)[:2]) == {0, 1}


def test_brighter_is_not_unlike():
    """The direction of the features counts, not their length."""
    rows = np.stack([features(seed) for seed in range(6)]).astype(float)
    rows[3] *= 3
    rows[5] = features(5, pattern=1)
    assert ugly_duckling.distances(rows).argmax() == 5


@pytest.mark.parametrize("count", [5, 6, 7, 50])
def test_the_median_of_the_others_leaves_out_the_one(count):
    rows = np.random.default_rng(3).random((count, 16)).round(1)  # with ties
    expected = [np.median(np.delete(rows, n, axis=0), axis=0) for n in range(count)]
    assert ugly_duckling._median_of_others(rows) == pytest.approx(np.array(expected))


def test_nothing_alive_is_far_from_all():
    rows = np.stack([features(seed) for seed in range(5)]).astype(float)
    rows[2] = 0
    assert ugly_duckling.distances(rows).argmax() == 2


@pytest.mark.django_db
def test_the_odd_one_of_a_patient_is_ranked_first(personas):
    readings = [read(personas.patient, features(n, pattern=int(n == 3))) for n in range(6)]
    found = ranking(personas.patient, personas.clinician)
    odd = readings[3]
    assert found.first.lesion == odd.image.lesion
    assert (found.first.image_id, found.first.prediction_id) == (odd.image_id, odd.pk)
    assert [one.rank for one in found.lesions] == [1, 2, 3, 4, 5, 6]
    away = [one.distance for one in found.lesions]
    assert away == sorted(away, reverse=True)
    assert "%" not in found.statement
    assert "no sign of disease" in found.statement
    assert "clears none of the others" in found.statement


@pytest.mark.django_db
def test_features_that_nobody_can_open_stop_no_page(personas, caplog):
    readings = [read(personas.patient, features(n)) for n in range(6)]
    broken = PredictionMaps.objects.filter(prediction=readings[2])
    broken.update(features=SealedBytes(MAGIC + bytes(64)))
    found = ranking(personas.patient, personas.clinician)
    left = [one.prediction_id for one in found.lesions]
    assert sorted(left) == sorted(one.pk for one in readings if one != readings[2])
    assert "their features cannot be opened: 1." in found.statement
    assert "features cannot be opened" in caplog.text


@pytest.mark.django_db
def test_a_page_gives_the_order_of_twenty(personas):
    for seed in range(21):
        read(personas.patient, features(seed))
    found = ranking(personas.patient, personas.clinician)
    assert found.is_long
    assert found.most_different == found.lesions[:20]


def test_fewer_than_five_are_not_compared(personas):
    for n in range(4):
        read(personas.patient, features(n))
    LesionFactory(patient=personas.patient)
    assert ranking(personas.patient, personas.clinician) is None


@pytest.mark.django_db
def test_what_was_not_assessable_or_gave_no_features_is_left_out(personas):
    for n in range(5):
        read(personas.patient, features(n))
    read(personas.patient, features(9, pattern=1), outcome="not_assessable", reason="blurred")
    read(personas.patient, None)
    LesionFactory(patient=personas.patient)
    assert len(ranking(personas.patient, personas.clinician).lesions) == 5


@pytest.mark.django_db
def test_the_newest_assessable_reading_of_each_lesion_counts(personas):
    first = read(personas.patient, features(0, pattern=1), captured_on=date(2025, 1, 1))
    newest = read(personas.patient, features(0), lesion=first.image.lesion)
    PredictionFactory(
        image__lesion=first.image.lesion,
        image__captured_on=date(2026, 5, 1),
        outcome="not_assessable",
        reason="blurred",
    )
    for n in range(1, 6):
        read(personas.patient, features(n))
    found = ranking(personas.patient, personas.clinician)
    assert newest.pk in {one.prediction_id for one in found.lesions}
    assert first.pk not in {one.prediction_id for one in found.lesions}
    assert max(one.distance for one in found.lesions) < 0.1


@pytest.mark.django_db
def test_readings_of_two_versions_are_never_compared(personas):
    """Among the counting readings, those by the version that read most lesions."""
    olds = [read(personas.patient, features(n), model_version="old") for n in range(6)]
    for n, old in enumerate(olds[:5]):
        newer = PredictionFactory(image=old.image, model_version=NEW if n < 2 else "other")
        PredictionMapsFactory(prediction=newer, features=features(n, pattern=2).tobytes())
    found = ranking(personas.patient, personas.clinician)
    assert found is None  # four by the one, two by the other: too few
    for n, old in enumerate(olds[2:], 2):
        newer = PredictionFactory(image=old.image, model_version=NEW)
        PredictionMapsFactory(prediction=newer, features=features(n, pattern=2).tobytes())
    found = ranking(personas.patient, personas.clinician)
    assert (found.model_version, len(found.lesions)) == (NEW, 6)


@pytest.mark.django_db
def test_what_is_withheld_is_not_ranked(personas):
    """A clinic may have its clinicians conclude before they see the model's findings."""
    for n in range(6):
        read(personas.patient, features(n))
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    assert ranking(personas.patient, personas.clinician) is None
    assert ranking(personas.patient, personas.assistant) is not None


@pytest.mark.django_db
def test_others_patients_are_no_others(personas):
    for n in range(5):
        read(personas.patient, features(n))
        read(PatientFactory(clinic=personas.clinic), features(n, pattern=1))
    assert len(ranking(personas.patient, personas.clinician).lesions) == 5


@pytest.mark.django_db
@pytest.mark.parametrize("count", [5, 40])
def test_three_queries_however_many(personas, django_assert_num_queries, count):
    for n in range(count):
        read(personas.patient, features(n))
    lesions = list(personas.patient.lesions.all())
    with django_assert_num_queries(3):  # and the user's roles
        found = ugly_duckling.ranking(personas.patient, lesions, personas.clinician)
    assert len(found.lesions) == count
    assert PredictionMaps.objects.count() == count
