"""An act settles what its author was shown, and nothing that arrived later."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone

from ml import reader
from screening.comparisons import alerts
from screening.corrections import moves
from screening.corrections import services as corrections
from screening.images import services as image_services
from screening.models import Alert, LesionImage, Review
from screening.predictions import arrivals, outcomes
from screening.predictions.outcomes import NOTHING
from screening.records import services as record_services
from screening.records import visits
from screening.reviews import services as review_services
from tests.factories import (
    AlertFactory,
    ComparisonFactory,
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    ReviewFactory,
    picture,
)
from tests.predictions.test_outcomes import standing_in_python, standing_rank

pytestmark = pytest.mark.django_db

DAY = date(2026, 3, 1)
EARLIER = date(2026, 1, 1)


@pytest.fixture
def patient(request, personas):
    """The clinic's; if a visit is to settle something, the self-tracker's own."""
    is_own = "kind" in request.fixturenames and request.getfixturevalue("kind") == "visit"
    return personas.own_patient if is_own else personas.patient


@pytest.fixture
def user(patient, personas):
    """Who concludes."""
    return patient.owner or personas.clinician


def urgent(lesion, day=EARLIER, outcome="urgent"):
    image = LesionImageFactory(lesion=lesion, captured_on=day)
    PredictionFactory(image=image, outcome=outcome, model_version=reader.DEFAULT_VERSION)
    return image


def concluded(kind, personas, lesion, image, **fields):
    if kind == "review":
        said = {"conclusion": "nv", "management": "monitor"}
        return review_services.record_review(user=personas.clinician, image=image, **said, **fields)
    if kind == "histology":
        return review_services.record_histology(
            user=personas.clinician, lesion=lesion, diagnosis="nv", examined_on=DAY, **fields
        )
    return visits.record_visit(
        user=personas.self_tracker, lesion=lesion, visited_on=DAY, finding="harmless", **fields
    )


KINDS = pytest.mark.parametrize("kind", ["review", "histology", "visit"])


@KINDS
def test_a_picture_that_came_after_the_form_was_opened_is_not_settled(
    kind, personas, patient, user
):
    lesion = LesionFactory(patient=patient)
    image = urgent(lesion, DAY)
    opened = arrivals.last(lesion, user)
    urgent(lesion)
    act = concluded(kind, personas, lesion, image, shown_at=opened)
    assert act.shown_at == opened
    assert standing_rank(lesion.pk, user) == 0
    concluded(kind, personas, lesion, image)
    assert standing_rank(lesion.pk, user) == NOTHING


@KINDS
def test_a_symptom_that_was_marked_after_the_form_was_opened_is_not_settled(
    kind, personas, patient, user
):
    lesion = LesionFactory(patient=patient)
    image = urgent(lesion, timezone.localdate(), "monitor")
    opened = arrivals.last(lesion, user)
    record_services.edit_lesion(user=user, lesion=lesion, bleeding=True)
    said = {"shown_at": opened}
    if kind == "histology":
        review_services.record_histology(
            user=user,
            lesion=lesion,
            diagnosis="nv",
            examined_on=timezone.localdate(),
            **said,
        )
    elif kind == "visit":
        visits.record_visit(
            user=personas.self_tracker,
            lesion=lesion,
            visited_on=timezone.localdate(),
            finding="harmless",
            **said,
        )
    else:
        concluded(kind, personas, lesion, image, **said)
    assert standing_in_python(lesion, user).outcome == "see_doctor"


def test_an_alert_that_was_raised_after_the_form_was_opened_stays_open(personas, patient):
    lesion = LesionFactory(patient=patient)
    earlier, later = urgent(lesion), urgent(lesion, DAY)
    opened = arrivals.last(lesion, personas.clinician)
    AlertFactory(lesion=lesion, earlier=earlier, later=later)
    concluded("review", personas, lesion, later, shown_at=opened)
    assert outcomes.open_alerts(Alert.objects.all(), personas.clinician).exists()
    concluded("review", personas, lesion, later)
    assert not outcomes.open_alerts(Alert.objects.all(), personas.clinician).exists()


def test_a_visit_settles_no_reading_that_was_told_after_the_form_was_opened(personas):
    lesion = LesionFactory(patient=personas.own_patient)
    image = urgent(lesion, DAY, "monitor")
    opened = arrivals.last(lesion, personas.self_tracker)
    PredictionFactory(image=image, outcome="urgent", model_version=reader.DEFAULT_VERSION)
    concluded("visit", personas, lesion, image, shown_at=opened)
    assert standing_rank(lesion.pk, personas.self_tracker) == 0


def test_a_conclusion_from_an_old_form_takes_back_no_removal(personas, patient):
    lesion = LesionFactory(patient=patient)
    image = urgent(lesion, DAY)
    opened = arrivals.last(lesion, personas.clinician)
    ReviewFactory(image=image, reviewer=personas.admin, management="excise")
    concluded("review", personas, lesion, image, shown_at=opened)
    assert standing_in_python(lesion, personas.clinician).awaits == "removal"
    concluded("review", personas, lesion, image)
    assert standing_in_python(lesion, personas.clinician).awaits == ""


def test_nobody_is_shown_what_is_still_to_come(personas, patient):
    lesion = LesionFactory(patient=patient)
    image = urgent(lesion, DAY)
    ahead = timezone.now() + timedelta(days=1)
    act = concluded("review", personas, lesion, image, shown_at=ahead)
    assert act.shown_at == arrivals.last(LesionImage.objects.get().lesion) - (
        act.created - act.shown_at
    )
    urgent(lesion)
    assert standing_rank(lesion.pk, personas.clinician) == 0


def test_what_was_shown_is_signed(personas, patient):
    lesion = LesionFactory(patient=patient)
    act = concluded("review", personas, lesion, urgent(lesion, DAY))
    assert Review.objects.get().signature_holds
    Review.objects.update(shown_at=act.shown_at + timedelta(days=1))
    assert not Review.objects.get().signature_holds
    Review.objects.update(shown_at=None)
    assert not Review.objects.get().signature_holds


@KINDS
@pytest.mark.parametrize("came", ["added", "moved", "redated", "put back"])
def test_after_the_clock_was_set_back_nothing_that_comes_is_settled(
    kind, came, personas, patient, user, clock
):
    lesion = LesionFactory(patient=patient)
    other = LesionFactory(patient=patient)
    image = urgent(lesion, DAY, "monitor")
    unseen = urgent(other if came == "moved" else lesion, DAY + timedelta(days=9))
    if came == "moved":
        corrections.correct_image(user=user, image=unseen, captured_on=EARLIER)
    elif came == "put back":
        corrections.correct_image(user=user, image=unseen, captured_on=EARLIER)
        corrections.withdraw(user=user, record=unseen, reason="Another spot")
    clock.ahead = timedelta(hours=1)
    concluded(kind, personas, lesion, image)
    clock.ahead = timedelta()
    if came == "added":
        added = image_services.add_image(
            user=user, lesion=lesion, file=_file(), captured_on=EARLIER
        ).image
        added.predictions.all().delete()
        PredictionFactory(image=added, outcome="urgent", model_version=reader.DEFAULT_VERSION)
        unseen.predictions.all().delete()
    elif came == "moved":
        moves.move_image(user=user, image=unseen, lesion=lesion, acknowledged=True)
    elif came == "redated":
        corrections.correct_image(user=user, image=unseen, captured_on=EARLIER)
    else:
        corrections.restore(user=user, record=unseen)
    assert standing_rank(lesion.pk, user) == 0
    concluded(kind, personas, lesion, image)
    assert standing_rank(lesion.pk, user) == NOTHING


def _file():
    from io import BytesIO

    return BytesIO(picture(7))


def test_after_the_clock_was_set_back_a_new_symptom_reading_or_alert_counts(personas, clock):
    user, lesion = personas.self_tracker, LesionFactory(patient=personas.own_patient)
    image = urgent(lesion, DAY, "monitor")
    earlier = urgent(lesion, EARLIER, "monitor")
    clock.ahead = timedelta(hours=1)
    act = concluded("visit", personas, lesion, image)
    clock.ahead = timedelta()
    reading = PredictionFactory(image=image, outcome="urgent", model_version=reader.DEFAULT_VERSION)
    assert reading.told_from > act.created
    assert standing_rank(lesion.pk, user) == 0
    record_services.edit_lesion(user=user, lesion=lesion, bleeding=True)
    assert lesion.symptoms_at > reading.told_from
    comparison = ComparisonFactory(earlier=earlier, later=image)
    fired = type("Fired", (), {"rule": "growth", "before": {}, "after": {}})
    assert alerts._opened(fired, comparison).created > act.created
