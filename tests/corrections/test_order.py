"""What came first is not asked of the clock: it is set back by an hour between two acts."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from ml import reader
from screening.corrections import merges, moves
from screening.corrections import services as corrections
from screening.corrections.undo import undo
from screening.models import Correction, CorrectionKind, LesionImage, Patient
from screening.predictions.outcomes import NOTHING
from screening.records import closing, visits
from screening.records import services as record_services
from screening.reviews import services as review_services
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
)
from tests.predictions.test_outcomes import standing_in_python, standing_rank

pytestmark = pytest.mark.django_db

EARLIER = date(2026, 2, 20)
DAY = date(2026, 3, 1)
LATER = date(2026, 3, 20)
HOUR = timedelta(hours=1)


@pytest.fixture
def lesion(personas):
    """Of a patient of the clinic who has an account too. Its picture is told "monitor"."""
    patient = PatientFactory(clinic=personas.clinic, owner=personas.self_tracker)
    lesion = LesionFactory(patient=patient)
    read(lesion, DAY, "monitor")
    return lesion


def read(lesion, day, outcome):
    image = LesionImageFactory(lesion=lesion, captured_on=day)
    PredictionFactory(image=image, outcome=outcome, model_version=reader.DEFAULT_VERSION)
    return image


def reviewed(personas, lesion):
    image = lesion.images.get(captured_on=DAY)
    said = {"conclusion": "nv", "management": "monitor"}
    review_services.record_review(user=personas.clinician, image=image, **said)


def examined(personas, lesion):
    said = {"diagnosis": "nv", "examined_on": DAY}
    review_services.record_histology(user=personas.clinician, lesion=lesion, **said)


def visited(personas, lesion, finding="harmless", own=True):
    """own: no clinic follows the record, so that the visit settles."""
    if own:
        Patient.objects.filter(pk=lesion.patient_id).update(clinic=None)
        lesion.patient.refresh_from_db()
    said = {"visited_on": DAY, "finding": finding}
    return visits.record_visit(user=personas.self_tracker, lesion=lesion, **said)


ACTS = pytest.mark.parametrize("act", [reviewed, examined, visited])


def last(kind):
    return Correction.objects.filter(kind=kind).order_by("-pk").first()


def stands(lesion, personas):
    return standing_rank(lesion.pk, personas.self_tracker)


@ACTS
def test_an_act_on_another_day_of_the_picture_does_not_settle_it(act, personas, lesion, clock):
    urgent = read(lesion, EARLIER, "urgent")
    clock.ahead = HOUR
    corrections.correct_image(user=personas.self_tracker, image=urgent, captured_on=LATER)
    clock.ahead = timedelta()
    act(personas, lesion)
    undo(user=personas.self_tracker, correction=last(CorrectionKind.EDITED), acknowledged=True)
    assert LesionImage.objects.get(pk=urgent.pk).captured_on == EARLIER
    assert stands(lesion, personas) == 0


@ACTS
def test_an_act_while_the_picture_was_withdrawn_does_not_settle_it(act, personas, lesion, clock):
    urgent = read(lesion, EARLIER, "urgent")
    clock.ahead = HOUR
    corrections.withdraw(user=personas.self_tracker, record=urgent, reason="Another spot")
    clock.ahead = timedelta()
    act(personas, lesion)
    corrections.restore(user=personas.self_tracker, record=urgent)
    assert stands(lesion, personas) == 0


@ACTS
def test_an_act_while_the_picture_was_elsewhere_does_not_settle_it(act, personas, lesion, clock):
    urgent, other = read(lesion, EARLIER, "urgent"), LesionFactory(patient=lesion.patient)
    by = {"user": personas.self_tracker, "acknowledged": True}
    clock.ahead = HOUR
    moves.move_image(image=urgent, lesion=other, **by)
    clock.ahead = timedelta()
    act(personas, lesion)
    undo(correction=last(CorrectionKind.MOVED), **by)
    assert stands(lesion, personas) == 0


@ACTS
def test_an_act_on_merged_lesions_does_not_settle_what_is_split_off(act, personas, lesion, clock):
    other = LesionFactory(patient=lesion.patient)
    urgent = read(other, LATER, "urgent")
    by = {"user": personas.self_tracker, "acknowledged": True}
    clock.ahead = HOUR
    merges.merge_lesions(lesion=other, into=lesion, **by)
    clock.ahead = timedelta()
    act(personas, lesion)
    corrections.restore(record=other, **by)
    corrections.correct_image(user=personas.self_tracker, image=urgent, captured_on=EARLIER)
    assert stands(other, personas) == 0


@ACTS
def test_an_act_before_settles_it_again(act, personas, lesion, clock):
    urgent = read(lesion, EARLIER, "urgent")
    clock.ahead = HOUR
    act(personas, lesion)
    assert stands(lesion, personas) == NOTHING
    clock.ahead = timedelta()
    corrections.correct_image(user=personas.self_tracker, image=urgent, captured_on=LATER)
    assert stands(lesion, personas) == 0
    undo(user=personas.self_tracker, correction=last(CorrectionKind.EDITED), acknowledged=True)
    assert stands(lesion, personas) == NOTHING


def test_a_picture_goes_back_to_no_lesion_that_was_closed_meanwhile(personas, lesion, clock):
    urgent, other = read(lesion, EARLIER, "urgent"), LesionFactory(patient=lesion.patient)
    by = {"user": personas.self_tracker, "acknowledged": True}
    clock.ahead = HOUR
    moves.move_image(image=urgent, lesion=other, **by)
    clock.ahead = timedelta()
    closing.close(user=personas.self_tracker, lesion=lesion, on=LATER)
    with pytest.raises(ValidationError, match="recorded as removed"):
        undo(correction=last(CorrectionKind.MOVED), **by)


def test_a_picture_is_not_put_back_on_a_lesion_closed_meanwhile(client, personas, lesion, clock):
    urgent, me = read(lesion, EARLIER, "urgent"), personas.self_tracker
    clock.ahead = HOUR
    corrections.withdraw(user=me, record=urgent, reason="Another spot")
    clock.ahead = timedelta()
    closing.close(user=me, lesion=lesion, on=LATER)
    client.force_login(me)
    page = reverse("correction_undo", args=[last(CorrectionKind.WITHDRAWN).pk])
    refused = client.post(page, {"acknowledged": "on"})
    assert refused.status_code == 200 and "recorded as removed. Open it again" in refused.text
    closing.reopen(user=me, lesion=lesion)
    assert client.post(page, {"acknowledged": "on"}).status_code == 302
    assert stands(lesion, personas) == 0
    assert str(lesion) in client.get("/").text.partition("Recent spots")[0]


def test_nor_where_the_lesion_that_was_closed_was_merged_into_another(personas, lesion):
    me, other = personas.self_tracker, LesionFactory(patient=lesion.patient)
    closing.close(user=me, lesion=lesion, on=LATER)
    urgent = read(other, EARLIER, "urgent")
    corrections.withdraw(user=me, record=urgent, reason="Another spot")
    closing.close(user=me, lesion=other, on=LATER)
    merges.merge_lesions(user=me, lesion=other, into=lesion, acknowledged=True)
    urgent.refresh_from_db()
    assert urgent.lesion == lesion and urgent.lesion.is_closed
    with pytest.raises(ValidationError, match="recorded as removed"):
        corrections.restore(user=me, record=urgent, acknowledged=True)


def test_nor_where_it_came_by_two_merges(personas, lesion):
    me = personas.self_tracker
    first, second = (LesionFactory(patient=lesion.patient) for _ in range(2))
    for one in (lesion, second):
        closing.close(user=me, lesion=one, on=LATER)
    urgent = read(first, EARLIER, "urgent")
    corrections.withdraw(user=me, record=urgent, reason="Another spot")
    closing.close(user=me, lesion=first, on=LATER)
    merges.merge_lesions(user=me, lesion=first, into=second, acknowledged=True)
    merges.merge_lesions(user=me, lesion=second, into=lesion, acknowledged=True)
    urgent.refresh_from_db()
    assert urgent.lesion == lesion and urgent.lesion.is_closed
    with pytest.raises(ValidationError, match="recorded as removed"):
        corrections.restore(user=me, record=urgent, acknowledged=True)


@pytest.mark.parametrize("undone", [(0, 1), (1, 0)])
def test_a_chain_of_merges_is_undone_in_either_order(personas, lesion, undone):
    by = {"user": personas.self_tracker, "acknowledged": True}
    chain = [*(LesionFactory(patient=lesion.patient) for _ in range(2)), lesion]
    for one, outcome in zip(chain, ("urgent", "see_doctor"), strict=False):
        read(one, EARLIER, outcome)
    merges.merge_lesions(lesion=chain[0], into=chain[1], **by)
    merges.merge_lesions(lesion=chain[1], into=chain[2], **by)
    assert [stands(one, personas) for one in chain] == [NOTHING, NOTHING, 0]
    for n in undone:
        corrections.restore(record=chain[n], **by)
        assert min(stands(one, personas) for one in chain) == 0
    assert [stands(one, personas) for one in chain] == [0, 1, 2]
    assert [one.images.count() for one in chain] == [1, 1, 1]


def test_an_act_within_a_chain_of_merges_settles_nothing_that_it_did_not_know(personas, lesion):
    """It is on the last lesion; the picture of the first is given an earlier day once split off."""
    by = {"user": personas.self_tracker, "acknowledged": True}
    first, second = (LesionFactory(patient=lesion.patient) for _ in range(2))
    urgent = read(first, LATER, "urgent")
    merges.merge_lesions(lesion=first, into=second, **by)
    merges.merge_lesions(lesion=second, into=lesion, **by)
    reviewed(personas, lesion)
    for one in (first, second):
        corrections.restore(record=one, **by)
    corrections.correct_image(user=personas.self_tracker, image=urgent, captured_on=EARLIER)
    assert stands(first, personas) == 0


@pytest.mark.parametrize("how", ["split off", "moved back"])
def test_a_picture_dated_meanwhile_is_not_hidden_by_an_earlier_removal(personas, lesion, how):
    me, other = personas.self_tracker, LesionFactory(patient=lesion.patient)
    urgent = read(other, LATER, "urgent")
    visited(personas, other, "removed")
    assert stands(other, personas) == 0
    if how == "split off":
        merges.merge_lesions(user=me, lesion=other, into=lesion, acknowledged=True)
    else:
        moves.move_image(user=me, image=urgent, lesion=lesion, acknowledged=True)
    corrections.correct_image(user=me, image=urgent, captured_on=EARLIER)
    assert stands(lesion, personas) == 0
    if how == "split off":
        corrections.restore(user=me, record=other, acknowledged=True)
    else:
        with pytest.raises(ValidationError, match="recorded as removed"):
            undo(user=me, correction=last(CorrectionKind.MOVED), acknowledged=True)
    assert min(stands(other, personas), stands(lesion, personas)) == 0


@pytest.mark.parametrize("closed", ["before it was withdrawn", "before it was taken"])
def test_a_picture_is_put_back_where_the_removal_hides_no_warning(personas, lesion, closed):
    me, was_shown = personas.self_tracker, closed == "before it was withdrawn"
    image = read(lesion, EARLIER if was_shown else LATER, "urgent")
    if was_shown:
        visited(personas, lesion, "removed")
    corrections.withdraw(user=me, record=image, reason="Another spot")
    if not was_shown:
        closing.close(user=me, lesion=lesion, on=EARLIER)
    corrections.restore(user=me, record=image)
    assert stands(lesion, personas) == (NOTHING if was_shown else 0)


def test_a_removal_said_before_a_reopening_does_not_close_again(personas, lesion, clock):
    clock.ahead = HOUR
    said = visited(personas, lesion, "removed")
    clock.ahead = timedelta()
    closing.reopen(user=personas.self_tracker, lesion=lesion)
    corrections.withdraw(user=personas.self_tracker, record=said, reason="Another spot")
    corrections.restore(user=personas.self_tracker, record=said)
    lesion.refresh_from_db()
    assert not lesion.is_closed
    record_services.edit_lesion(user=personas.self_tracker, lesion=lesion, bleeding=True)
    assert stands(lesion, personas) == 1


def test_a_removal_said_after_a_reopening_keeps_it_closed(personas, lesion, clock):
    closing.close(user=personas.self_tracker, lesion=lesion, on=LATER)
    clock.ahead = HOUR
    closing.reopen(user=personas.self_tracker, lesion=lesion)
    clock.ahead = timedelta()
    visited(personas, lesion, "removed")
    other = visited(personas, lesion, "harmless")
    corrections.withdraw(user=personas.self_tracker, record=other, reason="Another spot")
    lesion.refresh_from_db()
    assert lesion.is_closed


def test_a_result_is_awaited_of_the_visit_that_was_entered_last(personas, lesion, clock):
    clock.ahead = HOUR
    examined(personas, lesion)
    visited(personas, lesion, own=False)
    clock.ahead = timedelta()
    visited(personas, lesion, "biopsy", own=False)
    assert standing_in_python(lesion, personas.self_tracker).awaits == "result"
    examined(personas, lesion)
    assert standing_in_python(lesion, personas.self_tracker).awaits == ""


def test_the_reading_that_finished_last_counts(personas, lesion, clock):
    """Its details were corrected, say."""
    clock.ahead = HOUR
    image = read(lesion, LATER, "monitor")
    clock.ahead = timedelta()
    PredictionFactory(image=image, outcome="urgent", model_version=reader.DEFAULT_VERSION)
    assert stands(lesion, personas) == 0


def test_every_act_and_correction_comes_after_what_came_before(personas, lesion, clock):
    clock.ahead = HOUR
    visited(personas, lesion, own=False)
    clock.ahead = timedelta()
    reviewed(personas, lesion)
    examined(personas, lesion)
    said = visited(personas, lesion, own=False)
    corrections.withdraw(user=personas.self_tracker, record=said, reason="Another spot")
    closing.close(user=personas.self_tracker, lesion=lesion, on=LATER)
    closing.reopen(user=personas.self_tracker, lesion=lesion)
    lesion.refresh_from_db()
    record_services.edit_lesion(user=personas.self_tracker, lesion=lesion, body_site="back")
    record_services.edit_lesion(user=personas.self_tracker, lesion=lesion, body_site="face")
    acts = [
        *lesion.visits.all(),
        *(review for image in lesion.images.all() for review in image.reviews.all()),
        *lesion.histologies.all(),
        *sorted(lesion.corrections.all(), key=lambda one: one.pk),
    ]
    assert len(acts) >= 7
    moments = [one.created for one in acts]
    assert moments == sorted(set(moments)) and moments[0] > timezone.now()
