"""The read path: the latest, what needs attention, and the number of queries."""

from __future__ import annotations

from datetime import date

import pytest

from screening.models import Lesion, Outcome
from screening.predictions import outcomes
from screening.predictions.queries import latest_prediction, latest_review
from screening.records import attention, timeline
from screening.records import queries as record_queries
from tests.factories import (
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def read(lesion, outcome="monitor", captured_on=date(2026, 3, 1), **fields):
    return PredictionFactory(
        image__lesion=lesion, image__captured_on=captured_on, outcome=outcome, **fields
    )


def latest(lesion):
    user, lesions = UserFactory(), Lesion.objects.filter(pk=lesion.pk)
    return record_queries.with_told(record_queries.with_latest(lesions, user), user).get()


def test_the_latest_image_is_the_one_captured_last_not_uploaded_last():
    lesion = LesionFactory()
    newer = read(lesion, "urgent", date(2026, 5, 1)).image
    read(lesion, "monitor", date(2025, 5, 1))
    found = latest(lesion)
    assert (found.latest_image_id, found.latest_outcome) == (newer.pk, "urgent")
    assert found.image_count == 2


def test_a_second_reading_of_the_image_counts_not_the_first():
    lesion = LesionFactory()
    image = read(lesion, "monitor").image
    PredictionFactory(image=image, outcome="urgent")
    PredictionFactory(image=image, queued=True)
    assert latest(lesion).latest_outcome == "urgent"


@pytest.mark.parametrize("outcome", Outcome.values)
@pytest.mark.parametrize("symptom", [False, True])
def test_lists_and_pages_tell_the_same(outcome, symptom):
    lesion = LesionFactory(changing=symptom)
    prediction = read(lesion, outcome)
    found = latest(lesion)
    assert found.latest_outcome == prediction.outcome_told
    assert outcomes.of_rank(found.standing_rank) == prediction.outcome_told


def test_a_lesion_without_a_picture_has_no_outcome():
    found = latest(LesionFactory())
    assert found.latest_image_id is None
    assert not found.latest_outcome
    assert found.standing_rank == outcomes.NOTHING
    assert not found.image_count


def test_the_most_severe_comes_first():
    patient = PatientFactory()
    for outcome in ("monitor", "not_assessable", "urgent", "see_doctor"):
        read(LesionFactory(patient=patient, label=outcome), outcome)
    LesionFactory(patient=patient, label="unread")
    user = UserFactory()
    lesions = record_queries.most_severe_first(
        record_queries.with_latest(patient.lesions.all(), user)
    )
    assert [lesion.label for lesion in lesions] == [
        "urgent",
        "see_doctor",
        "monitor",
        "not_assessable",
        "unread",
    ]
    keys = record_queries.keys_by_severity(patient.lesions.all(), user)
    assert record_queries.with_keys(keys, user) == lesions


def test_what_needs_attention_is_flagged_visible_and_not_reviewed(personas):
    def flagged(label, patient=personas.patient, outcome="see_doctor"):
        return read(LesionFactory(patient=patient, label=label), outcome).image

    flagged("see")
    flagged("urgent", outcome="urgent")
    flagged("calm", outcome="monitor")
    ReviewFactory(image=flagged("reviewed"))
    flagged("foreign", patient=personas.own_patient)
    bleeding = LesionFactory(patient=personas.patient, label="bleeding", bleeding=True)
    read(bleeding, "monitor")
    keys = attention.of(personas.viewer).needs
    found = record_queries.with_keys(keys, personas.viewer)
    assert found[0].label == "urgent"
    assert {lesion.label for lesion in found} == {"urgent", "see", "bleeding"}


def test_a_review_of_an_older_image_does_not_settle_a_newer_one(personas):
    lesion = LesionFactory(patient=personas.patient)
    ReviewFactory(image=read(lesion, "urgent", date(2025, 1, 1)).image)
    read(lesion, "urgent", date(2026, 1, 1))
    assert attention.of(personas.clinician).needs == [lesion.pk]


def test_unfinished_readings_are_those_with_no_later_one(personas):
    lesion = LesionFactory(patient=personas.patient)
    failed = PredictionFactory(image__lesion=lesion, failed=True)
    waiting = PredictionFactory(image__lesion=lesion, queued=True)
    settled = PredictionFactory(image__lesion=lesion, failed=True)
    PredictionFactory(image=settled.image)
    PredictionFactory(queued=True)
    assert set(record_queries.unfinished(personas.clinician)) == {failed, waiting}


@pytest.mark.parametrize("lesions", [2, 12])
def test_lists_cost_the_same_however_long(lesions, django_assert_num_queries):
    patient = PatientFactory()
    for n in range(lesions):
        lesion = LesionFactory(patient=patient)
        for year in (2025, 2026):
            ReviewFactory(image=read(lesion, captured_on=date(year, 1, 1 + n)).image)
    user = UserFactory()
    # roles, lesions, images, predictions, reviews, the conclusions signed last
    with django_assert_num_queries(6):
        lesions = list(record_queries.with_latest(patient.lesions.all(), user))
        found = record_queries.attach_latest_images(lesions, user)
        for lesion in found:
            assert latest_prediction(lesion.latest_image).outcome_told == "monitor"
            assert latest_review(lesion.latest_image).reviewer.email
            assert lesion.standing.concluded == latest_review(lesion.latest_image)


def test_a_timeline_costs_the_same_however_long(django_assert_num_queries):
    lesion = LesionFactory()
    for day in range(1, 20):
        read(lesion, captured_on=date(2026, 1, day))
    user = UserFactory()
    with django_assert_num_queries(5):  # roles, images, predictions, reviews, measurements
        images = record_queries.timeline(lesion, user)
        assert len(timeline.readings(images)) == 19
        assert timeline.measurements(images) == []


def test_the_patients_list_counts_lesions_not_images(personas):
    lesion = LesionFactory(patient=personas.patient)
    LesionImageFactory(lesion=lesion, captured_on=date(2026, 1, 1))
    LesionImageFactory(lesion=lesion, captured_on=date(2026, 2, 1))
    (patient,) = record_queries.patients_overview(personas.viewer)
    assert (patient.lesion_count, patient.last_captured_on) == (1, date(2026, 2, 1))


def test_a_later_benign_sample_takes_no_cancer_back(personas):
    lesion = LesionFactory(patient=personas.patient)
    for diagnosis in ("mel", "nv"):
        HistologyFactory(lesion=lesion, diagnosis=diagnosis)
    mine = Lesion.objects.filter(pk=lesion.pk)
    assert record_queries.with_latest(mine, personas.clinician).get().histology == "mel"
    found = record_queries.histologies_of(lesion, personas.clinician)
    assert [one.diagnosis for one in found] == ["mel", "nv"]
