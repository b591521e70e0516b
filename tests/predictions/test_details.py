"""Readings depend on patient details: after a correction they are repeated, and marked until
then.
"""

from __future__ import annotations

from datetime import date, timedelta
from unittest import mock

import pytest
from django.utils import timezone

from ml import reader
from screening import sweeper, tasks
from screening.body_map import services as body_map_services
from screening.models import Lesion, LesionImage, Patient, Prediction, State
from screening.predictions import details, queue, recovery
from screening.records import services as record_services
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory

pytestmark = pytest.mark.django_db

MONITOR = {"age": 66.0, "sex": "female", "localization": "back"}
"""The factories' values."""


@pytest.fixture
def reading(personas):
    lesion = LesionFactory(patient=personas.patient)
    return PredictionFactory(image__lesion=lesion, model_version=reader.DEFAULT_VERSION)


@pytest.fixture
def rung():
    with mock.patch.object(tasks.read_prediction_task, "apply_async") as send:
        yield send


def waiting():
    return list(Prediction.objects.filter(state=State.QUEUED))


def stale(prediction):
    """By both implementations, which must agree."""
    in_sql = details.with_other_details(Prediction.objects.filter(pk=prediction.pk)).exists()
    fresh = Prediction.objects.select_related("image__lesion__patient").get(pk=prediction.pk)
    assert bool(details.other_details(fresh)) == in_sql
    return in_sql


@pytest.mark.parametrize(
    ("told", "patient", "lesion", "image", "differs"),
    [
        ({}, {}, {}, {}, set()),
        ({}, {"birth_year": 1961}, {}, {}, {"age"}),
        ({}, {"birth_year": None}, {}, {}, {"age"}),
        ({}, {"birth_year": 1901}, {}, {}, {"age"}),
        ({"age": None}, {"birth_year": 1901}, {}, {}, set()),
        ({"age": None}, {"birth_year": None}, {}, {}, set()),
        ({"age": 0.0}, {"birth_year": 2050}, {}, {}, {"age"}),
        ({"age": 0.0}, {"birth_year": 2026}, {}, {}, set()),
        ({"age": 120.0}, {"birth_year": 1906}, {}, {}, set()),
        ({}, {"sex": "male"}, {}, {}, {"sex"}),
        ({}, {"sex": ""}, {}, {}, {"sex"}),
        ({"sex": None}, {"sex": ""}, {}, {}, set()),
        ({}, {}, {"body_site": "lower extremity"}, {}, {"localization"}),
        ({}, {}, {"body_site": ""}, {}, {"localization"}),
        ({"localization": None}, {}, {"body_site": ""}, {}, set()),
        ({}, {"birth_year": 1961, "sex": "male"}, {"body_site": "ear"}, {}, set(MONITOR)),
        ({}, {}, {}, {"captured_on": date(2025, 3, 1)}, {"age"}),
        ({}, {}, {}, {"captured_on": date(2026, 12, 31)}, set()),
        ({}, {}, {}, {"modality": "clinical"}, {"kind"}),
    ],
)
def test_what_differs_is_told_in_python_and_sql_alike(
    reading, told, patient, lesion, image, differs
):
    Prediction.objects.update(context=MONITOR | told)
    for model, fields in ((Patient, patient), (Lesion, lesion), (LesionImage, image)):
        if fields:
            model.objects.update(**fields)
    assert stale(reading) == bool(differs)
    fresh = Prediction.objects.select_related("image__lesion__patient").get()
    assert set(details.other_details(fresh)) == differs


def test_a_photograph_has_no_details_until_it_is_one_no_longer(reading):
    Prediction.objects.update(
        outcome="not_assessable", reason=details.CLINICAL_PHOTOGRAPH, context={}
    )
    LesionImage.objects.update(modality="clinical")
    Patient.objects.update(birth_year=1990)
    assert not stale(reading)
    LesionImage.objects.update(modality="dermatoscopic")
    assert stale(reading)


def correct_age(personas, lesion):
    record_services.edit_patient(user=personas.clinician, patient=personas.patient, birth_year=1946)


def correct_sex(personas, lesion):
    record_services.edit_patient(user=personas.clinician, patient=personas.patient, sex="male")


def correct_site(personas, lesion):
    record_services.edit_lesion(user=personas.clinician, lesion=lesion, body_site="face")


def place_on_the_map(personas, lesion):
    Lesion.objects.update(body_site="")
    lesion.refresh_from_db()
    spot = body_map_services.Spot("front", 0.5, 0.3)
    body_map_services.place_lesion(user=personas.clinician, lesion=lesion, spot=spot)


@pytest.mark.parametrize(
    "correct", [correct_age, correct_sex, correct_site, place_on_the_map], ids=lambda f: f.__name__
)
def test_a_correction_has_it_read_again_behind_all_that_someone_waits_for(
    personas, reading, rung, correct, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        correct(personas, reading.image.lesion)
        rung.assert_not_called()
    (again,) = waiting()
    assert (again.image_id, again.model_version) == (reading.image_id, reader.DEFAULT_VERSION)
    assert again.is_bulk
    rung.assert_called_once_with((str(again.pk),), queue="bulk")


def test_an_edit_that_changes_no_detail_reads_nothing_again(personas, reading):
    record_services.edit_patient(user=personas.clinician, patient=personas.patient, label="N-7")
    record_services.edit_lesion(user=personas.clinician, lesion=reading.image.lesion, bleeding=True)
    assert not waiting()


def test_the_old_reading_counts_until_the_new_one_is_made_and_stays_in_the_history(
    personas, reading
):
    correct_age(personas, None)
    assert stale(reading)
    assert Prediction.objects.counting().get() == reading
    (again,) = waiting()
    queue.read(queue.claim(again.pk))
    counting = Prediction.objects.counting().get()
    assert counting == again
    assert counting.context == MONITOR | {"age": 80.0}
    assert not stale(counting)
    reading.refresh_from_db()
    assert reading.told_until == counting.told_from
    assert reading.context == MONITOR


def test_a_second_correction_waits_for_the_same_reading(personas, reading):
    correct_age(personas, None)
    correct_sex(personas, None)
    assert len(waiting()) == 1


def test_a_correction_while_it_is_read_is_seen_when_it_is_finished(personas, reading):
    correct_age(personas, None)
    claimed = queue.claim(waiting()[0].pk)
    correct_sex(personas, None)
    assert not waiting()
    queue.read(claimed)
    (again,) = waiting()
    assert again in recovery.sweep(rung_before=timezone.now() - timedelta(minutes=1))
    queue.read(queue.claim(again.pk))
    assert Prediction.objects.counting().get().context == MONITOR | {"age": 80.0, "sex": "male"}
    assert not waiting()


def test_a_correction_that_was_lost_is_found_by_the_sweep(reading, rung):
    Patient.objects.update(birth_year=1946)
    details.queue_some_again()
    sweeper.sweep_predictions()
    (again,) = waiting()
    assert (str(again.pk),) in [call.args[0] for call in rung.call_args_list]
    details.queue_some_again()
    assert len(waiting()) == 1


def test_one_sweep_has_bounds(monkeypatch):
    monkeypatch.setattr(details, "ONE_SWEEP", 2)
    for _ in range(3):
        PredictionFactory()
    Patient.objects.update(birth_year=1946)
    assert len(details.queue_some_again()) == 2
    assert len(details.queue_some_again()) == 1
    assert not details.queue_some_again()


def test_what_fails_again_is_tried_with_pauses_and_not_for_ever(reading):
    Patient.objects.update(birth_year=1946)
    for n in range(1, 4):
        (again,) = details.queue_some_again()
        Prediction.objects.filter(pk=again.pk).update(
            state=State.FAILED, failure="It cannot be opened.", finished_at=timezone.now()
        )
        assert not details.queue_some_again(), "within the hour"
        Prediction.objects.filter(state=State.FAILED).update(
            finished_at=timezone.now() - timedelta(hours=n + 1)
        )
    assert not details.queue_some_again()
    assert Prediction.objects.counting().get() == reading


def test_what_was_withdrawn_is_left_alone(personas, reading):
    LesionImage.objects.update(
        withdrawn_at=timezone.now(), withdrawn_by=personas.clinician, withdrawn_because="Wrong."
    )
    correct_age(personas, None)
    assert not details.queue_some_again()
    assert not waiting()


def test_a_reading_of_another_version_that_counts_is_made_anew_by_the_default(personas, reading):
    Prediction.objects.update(model_version="2020.1")
    correct_age(personas, None)
    assert waiting()[0].model_version == reader.DEFAULT_VERSION


def test_another_patients_readings_are_left_alone(personas, reading):
    PredictionFactory(image=LesionImageFactory())
    correct_age(personas, None)
    assert [one.image_id for one in waiting()] == [reading.image_id]


# What is seen of it


def page(client, user, image):
    client.force_login(user)
    return client.get(f"/images/{image.pk}/").content.decode()


def test_the_page_says_what_it_was_read_with_until_it_is_read_again(client, personas, reading):
    image = reading.image
    assert "Read with other details" not in page(client, personas.clinician, image)
    correct_age(personas, None)
    text = " ".join(page(client, personas.clinician, image).split())
    assert "Read with other details:</strong> age 66 then, 80 now. Being read again." in text
    assert "Earlier readings" not in text
    queue.read(queue.claim(waiting()[0].pk))
    text = " ".join(page(client, personas.clinician, image).split())
    assert "Read with other details" not in text
    assert "Earlier readings" in text
    assert "with age 66, sex female, body site Back." in text


def test_the_page_says_that_an_age_is_not_used(client, personas, reading):
    sentence = "Age not used: the birth year does not fit the day of the picture."
    assert sentence not in page(client, personas.clinician, reading.image)
    Patient.objects.update(birth_year=2050)
    text = page(client, personas.clinician, reading.image)
    assert sentence in text
    assert "age 66 then, not known now. It will be read again." in text


def test_the_api_tells_what_it_was_read_with_and_what_stands(client, personas, reading):
    client.force_login(personas.clinician)

    def told():
        return client.get(f"/api/v1/predictions/{reading.pk}/").json()

    before = told()
    assert (before["read_with_other_details"], before["counts"]) == (False, True)
    correct_age(personas, None)
    after = told()
    assert after["read_with_other_details"]
    assert (after["context"]["age"], after["details_now"]["age"]) == (66.0, 80)
    assert after["counts"]
    queue.read(queue.claim(waiting()[0].pk))
    replaced = told()
    assert not replaced["counts"]
    assert replaced["told_until"]
