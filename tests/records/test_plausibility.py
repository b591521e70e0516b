"""Impossible days and years: rejected on input, never clamped."""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from ml.types import MAX_AGE, PatientContext
from screening.images import services as image_services
from screening.models import Patient
from screening.predictions import queue
from screening.records import plausibility, visits
from screening.records import services as record_services
from screening.reviews import services as review_services
from tests.factories import (
    DoctorVisitFactory,
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    UserFactory,
    picture,
)

pytestmark = pytest.mark.django_db

THIS_YEAR = timezone.localdate().year
OLDEST = THIS_YEAR - MAX_AGE


def as_stored(birth_year):
    """A patient from before the rules existed."""
    image = LesionImageFactory()
    Patient.objects.update(birth_year=birth_year)
    image.lesion.patient.refresh_from_db()
    return image


@pytest.mark.parametrize("year", [OLDEST, THIS_YEAR])
def test_a_birth_year_that_can_be_is_taken(personas, year):
    patient = record_services.register_patient(
        user=personas.clinician, clinic=personas.clinic, label="N-2", birth_year=year
    )
    assert patient.birth_year == year


@pytest.mark.parametrize(
    ("year", "why"),
    [
        (THIS_YEAR + 2, "lies in the future"),
        (2050, "lies in the future"),
        (OLDEST - 1, "120 years at most"),
        (68, "four digits"),
        (-5, "four digits"),
    ],
)
def test_one_that_cannot_be_is_refused(personas, year, why):
    with pytest.raises(ValidationError, match=why) as refusal:
        record_services.register_patient(user=personas.clinician, label="N-2", birth_year=year)
    assert list(refusal.value.message_dict) == ["birth_year"]
    with pytest.raises(ValidationError, match=why):
        record_services.edit_patient(
            user=personas.clinician, patient=personas.patient, birth_year=year
        )


@pytest.mark.parametrize(
    ("on_record", "named"),
    [
        (lambda lesion: LesionImageFactory(lesion=lesion), "picture was taken on 1 Mar 2026"),
        (lambda lesion: HistologyFactory(lesion=lesion), "Histology is of 20 Mar 2026"),
        (
            lambda lesion: DoctorVisitFactory(lesion=lesion, recorded_by=UserFactory()),
            "doctor was seen on 15 Mar 2026",
        ),
    ],
)
def test_a_birth_year_after_a_day_on_record_is_refused_by_that_day(personas, on_record, named):
    patient = personas.patient
    on_record(LesionFactory(patient=patient))
    next_year = Patient(pk=patient.pk, birth_year=2027)
    with pytest.raises(ValidationError, match="future" if THIS_YEAR < 2027 else named):
        plausibility.require_birth_year(next_year)
    assert named in plausibility._recorded_before(patient, 2027)
    assert plausibility._recorded_before(patient, 2026) == ""


def test_what_was_implausible_before_does_not_stand_in_the_way_of_another_edit(personas):
    Patient.objects.filter(pk=personas.patient.pk).update(birth_year=1901)
    patient = Patient.objects.get(pk=personas.patient.pk)
    record_services.edit_patient(
        user=personas.clinician, patient=patient, birth_year=1901, sex="male"
    )
    with pytest.raises(ValidationError, match="120 years at most"):
        record_services.edit_patient(user=personas.clinician, patient=patient, birth_year=1902)


@pytest.mark.parametrize(
    ("born", "day", "why"),
    [
        (1960, date(1959, 12, 31), "before the patient's birth in 1960"),
        (1960, date(2999, 1, 1), "1 Jan 2999, lies in the future"),
        (None, date(1949, 12, 31), "too long ago"),
        (1901, date(2026, 3, 1), "would be over 120 years old on 1 Mar 2026"),
    ],
)
def test_a_day_of_capture_that_cannot_be_is_refused(personas, born, day, why):
    Patient.objects.filter(pk=personas.patient.pk).update(birth_year=born)
    personas.patient.refresh_from_db()
    lesion = LesionFactory(patient=personas.patient)
    with pytest.raises(ValidationError, match=why):
        image_services.add_image(
            user=personas.clinician, lesion=lesion, file=BytesIO(picture()), captured_on=day
        )
    assert not lesion.images.exists()


def test_it_may_be_tomorrow_already_where_the_picture_was_taken(personas):
    tomorrow = timezone.localdate() + timedelta(days=1)
    plausibility.require_capture_day(tomorrow, personas.patient)
    with pytest.raises(ValidationError):
        plausibility.require_capture_day(tomorrow + timedelta(days=1), personas.patient)


@pytest.mark.parametrize(
    ("day", "why"),
    [(date(2999, 1, 1), "lies in the future"), (date(1959, 5, 5), "before the patient's birth")],
)
def test_histology_has_its_day_in_the_patients_life(personas, day, why):
    lesion = LesionFactory(patient=personas.patient)
    with pytest.raises(ValidationError, match=why) as refusal:
        review_services.record_histology(
            user=personas.clinician, lesion=lesion, diagnosis="nv", examined_on=day
        )
    assert list(refusal.value.message_dict) == ["examined_on"]


@pytest.mark.parametrize("what", ["visit", "histology", "removal"])
def test_what_was_done_was_done_since_1900(personas, what):
    """Also if no birth year is known."""
    patient = personas.own_patient if what == "visit" else personas.patient
    patient.birth_year = None
    patient.save()
    lesion = LesionFactory(patient=patient)
    image = LesionImageFactory(lesion=lesion)

    def enter(day):
        if what == "visit":
            visits.record_visit(
                user=personas.self_tracker, lesion=lesion, visited_on=day, finding="harmless"
            )
        elif what == "histology":
            review_services.record_histology(
                user=personas.clinician, lesion=lesion, diagnosis="nv", examined_on=day
            )
        else:
            review_services.record_review(
                user=personas.clinician,
                image=image,
                conclusion="nv",
                management="done",
                removed_on=day,
            )

    with pytest.raises(ValidationError, match="is too long ago"):
        enter(date(1899, 12, 31))
    enter(date(1900, 1, 1))


@pytest.mark.parametrize(
    ("born", "age"), [(2026, 0), (1906, 120), (1905, None), (2027, None), (2050, None)]
)
def test_the_model_is_told_no_age_that_was_clamped(born, age):
    image = as_stored(born)
    assert queue.context_of(image) == PatientContext(age, "female", "back")
    assert image.age_is_unused == (age is None)


def test_an_age_that_nobody_stated_is_not_called_unused():
    assert not as_stored(None).age_is_unused
