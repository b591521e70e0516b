"""The history of lesions, in chronological order."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from screening.comparisons import marks
from screening.measurements import services as measurement_services
from screening.models import Alert, Histology, Measurement
from screening.records import queries as record_queries
from screening.records import timeline
from tests.factories import (
    AlertFactory,
    ComparisonFactory,
    DoctorVisitFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PredictionFactory,
    PredictionMapsFactory,
    ReviewFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinician(lesion):
    return MembershipFactory(clinic=lesion.patient.clinic).user


@pytest.fixture
def lesion():
    return LesionFactory()


def read(lesion, captured_on, outcome="monitor", **fields):
    return PredictionFactory(
        image__lesion=lesion, image__captured_on=captured_on, outcome=outcome, **fields
    )


def events_of(lesion, user):
    images = record_queries.timeline(lesion, user)
    alerts = Alert.objects.filter(lesion=lesion)
    histologies = record_queries.histologies_of(lesion, user)
    visits = record_queries.visits_of(lesion)
    return timeline.events([lesion], images, alerts, histologies, visits, user)


def test_images_stand_by_day_of_capture_whatever_the_order_of_upload(lesion):
    read(lesion, date(2026, 3, 1), p_malignant=0.3)
    read(lesion, date(2026, 1, 1), p_malignant=0.1)
    LesionImageFactory(lesion=lesion, captured_on=date(2026, 2, 1))
    found = timeline.readings(record_queries.timeline(lesion, UserFactory()))
    assert [one.image.captured_on.month for one in found] == [1, 2, 3]
    assert [one.p_malignant for one in found] == [0.1, None, 0.3]
    assert [one.outcome for one in found] == ["monitor", "", "monitor"]


def test_what_was_not_assessed_has_no_probability(lesion):
    read(lesion, date(2026, 3, 1), "not_assessable", p_malignant=0.9, reason="blurred")
    (one,) = timeline.readings(record_queries.timeline(lesion, UserFactory()))
    assert (one.outcome, one.p_malignant) == ("not_assessable", None)


def test_an_old_reading_is_shown_while_a_new_one_waits(lesion):
    prediction = read(lesion, date(2026, 3, 1), p_malignant=0.2)
    PredictionFactory(image=prediction.image, queued=True)
    (one,) = timeline.readings(record_queries.timeline(lesion, UserFactory()))
    assert one.p_malignant == 0.2


def test_a_symptom_is_told_here_too(lesion):
    lesion.bleeding = True
    lesion.save()
    read(lesion, date(2026, 3, 1))
    assert (
        timeline.readings(record_queries.timeline(lesion, UserFactory()))[0].outcome == "see_doctor"
    )


def test_measures_say_within_whose_outline(lesion):
    reading = read(lesion, date(2026, 3, 1), model_version="2026.1")
    PredictionMapsFactory(prediction=reading)
    measurement_services.measure_image(reading.image)
    (one,) = timeline.measurements(record_queries.timeline(lesion, UserFactory()))
    assert one.within == "model 2026.1"
    assert one.values["area_px"] > 0
    assert one.mm_per_pixel is None
    drawn = reading.image.outlines.create(drawn_by=UserFactory(), points=[[0, 0], [1, 0], [1, 1]])
    Measurement.objects.create(
        image=reading.image, outline=drawn, algorithm_version="1", values=one.values
    )
    (one,) = timeline.measurements(record_queries.timeline(lesion, UserFactory()))
    assert one.within == "drawn by hand"


def test_all_that_was_recorded_is_there_by_its_day(lesion, clinician):
    image = read(lesion, date(2026, 3, 1)).image
    comparison = ComparisonFactory(later=image)
    mark = marks.mark_comparison(user=clinician, comparison=comparison, verdict="changed")
    AlertFactory(later=image, earlier=comparison.earlier)
    ReviewFactory(image=image, created=datetime(2026, 3, 5, 12, tzinfo=UTC))
    Histology.objects.create(
        lesion=lesion, recorded_by=clinician, diagnosis="mel", examined_on=date(2026, 3, 20)
    )
    found = events_of(lesion, clinician)
    assert [(one.kind, one.on, one.words) for one in found] == [
        ("alert", date(2026, 3, 1), "Grew fast"),
        ("review", date(2026, 3, 5), "Melanocytic nevus (mole)"),
        ("histology", date(2026, 3, 20), "Melanoma"),
        ("mark", mark.created.date(), "Changed"),
    ]
    assert {one.lesion_id for one in found} == {lesion.pk}


def test_a_visit_is_there_on_its_day_until_it_is_corrected():
    lesion = LesionFactory(patient__own=True)
    wrong = DoctorVisitFactory(lesion=lesion, visited_on=date(2026, 3, 2), finding="harmless")
    DoctorVisitFactory(
        lesion=lesion, visited_on=date(2026, 3, 9), finding="biopsy", supersedes=wrong
    )
    (one,) = events_of(lesion, UserFactory())
    assert (one.kind, one.on, one.words) == ("visit", date(2026, 3, 9), "A sample was taken")


def test_a_closed_alert_stays_in_it(lesion, clinician):
    alert = AlertFactory(later__lesion=lesion)
    marks.close_alert(user=clinician, alert=alert, reason="Seen by a doctor.")
    (event,) = events_of(lesion, clinician)
    assert event.words == "Grew fast (closed)"


def test_of_others_lesions_there_is_nothing(lesion, clinician):
    AlertFactory()
    ReviewFactory()
    assert events_of(lesion, clinician) == []
    ComparisonFactory(later__lesion=lesion).marks.create(
        marked_by=UserFactory(), verdict="unchanged"
    )
    assert len(events_of(lesion, clinician)) == 1
    assert events_of(lesion, UserFactory()) == []
