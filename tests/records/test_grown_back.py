"""A removed lesion that is there again, or in part, is not shown as closed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from screening.corrections import services as corrections
from screening.models import Lesion, LesionImage
from screening.predictions import arrivals, outcomes
from screening.records import queries, visits
from screening.reviews import services as reviews
from screening.reviews.worklist import Reason, Worklist
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory

pytestmark = pytest.mark.django_db
REMOVED = date(2026, 3, 1)
AGAIN = REMOVED + timedelta(days=200)


def standing(lesion, user):
    """The standing outcome and what is awaited, in Python and in SQL alike."""
    row = outcomes.with_standing(
        Lesion.objects.filter(pk=lesion.pk).select_related("patient"), user
    ).get()
    found = outcomes.standing_of(
        row,
        queries.timeline(row, user),
        queries.histologies_of(row, user),
        queries.visits_of(row),
    )
    assert (outcomes.rank(found.outcome), found.awaits) == (row.standing_rank, row.awaits)
    return found.outcome, found.awaits


def reasons(user):
    return [reason for lesion in Worklist(user) for reason in lesion.reasons]


@pytest.fixture
def removed(personas):
    """A lesion that was removed, by a clinician's conclusion."""
    image = LesionImageFactory(lesion__patient=personas.patient, captured_on=REMOVED)
    PredictionFactory(image=image, outcome="urgent")
    reviews.record_review(
        user=personas.clinician,
        image=image,
        conclusion="mel",
        management="done",
        removed_on=REMOVED,
    )
    image.lesion.refresh_from_db()
    assert image.lesion.is_closed
    return image.lesion


@pytest.fixture
def again(removed):
    """An urgent picture of it, of a later day."""
    image = LesionImageFactory(lesion=removed, captured_on=AGAIN)
    PredictionFactory(image=image, outcome="urgent")
    return image


@pytest.mark.parametrize(
    ("management", "awaits"), [("excise", "removal"), ("refer", ""), ("monitor", "")]
)
def test_a_conclusion_on_what_grew_back_opens_it(personas, again, management, awaits):
    reviews.record_review(
        user=personas.clinician, image=again, conclusion="mel", management=management
    )
    again.lesion.refresh_from_db()
    assert not again.lesion.is_closed
    assert standing(again.lesion, personas.clinician) == ("", awaits)


def test_a_conclusion_that_nothing_is_to_be_done_leaves_it_closed(personas, again):
    reviews.record_review(user=personas.clinician, image=again, conclusion="nv", management="none")
    again.lesion.refresh_from_db()
    assert again.lesion.is_closed


def test_a_malignant_histology_of_what_grew_back_awaits_its_removal(personas, again):
    reviews.record_histology(
        user=personas.clinician,
        lesion=again.lesion,
        diagnosis="mel",
        examined_on=AGAIN + timedelta(days=9),
    )
    assert standing(again.lesion, personas.clinician) == ("", "treatment")
    assert Reason.MALIGNANT in reasons(personas.clinician)


@pytest.mark.parametrize("excised", [None, True])
def test_the_histology_of_what_was_removed_opens_nothing(personas, removed, excised):
    reviews.record_histology(
        user=personas.clinician,
        lesion=removed,
        diagnosis="mel",
        examined_on=REMOVED + timedelta(days=9),
        excised=excised,
    )
    removed.refresh_from_db()
    assert removed.is_closed


def test_malignant_tissue_that_is_left_opens_it(personas, removed):
    reviews.record_histology(
        user=personas.clinician,
        lesion=removed,
        diagnosis="mel",
        examined_on=REMOVED + timedelta(days=9),
        excised=False,
    )
    assert standing(removed, personas.clinician) == ("", "treatment")
    assert Reason.MALIGNANT in reasons(personas.clinician)


def test_but_not_if_it_was_removed_since(personas, removed):
    reviews.record_histology(
        user=personas.clinician,
        lesion=removed,
        diagnosis="mel",
        examined_on=REMOVED - timedelta(days=9),
        excised=False,
    )
    removed.refresh_from_db()
    assert removed.is_closed


def test_a_sample_of_what_grew_back_is_waited_for(personas):
    me = personas.self_tracker
    image = LesionImageFactory(lesion__patient=personas.own_patient, captured_on=REMOVED)
    lesion = image.lesion
    PredictionFactory(image=image, outcome="urgent")
    visits.record_visit(user=me, lesion=lesion, visited_on=REMOVED, finding="removed")
    PredictionFactory(image=LesionImageFactory(lesion=lesion, captured_on=AGAIN), outcome="urgent")
    lesion.refresh_from_db()
    visits.record_visit(
        user=me, lesion=lesion, visited_on=AGAIN + timedelta(days=5), finding="biopsy"
    )
    assert standing(lesion, me)[1] == "result"


@pytest.mark.parametrize("kind", ["failed", "clinical"])
def test_a_picture_of_it_without_a_reading_is_to_be_reviewed(personas, removed, kind):
    if kind == "failed":
        PredictionFactory(image=LesionImageFactory(lesion=removed, captured_on=AGAIN), failed=True)
    else:
        LesionImageFactory(lesion=removed, captured_on=AGAIN, modality="clinical")
    assert reasons(personas.clinician) == [Reason.UNREVIEWED]


def test_an_undo_closes_it_on_the_day_of_its_removal(personas):
    user, lesion = personas.clinician, LesionFactory(patient=personas.patient)
    scar = LesionImageFactory(lesion=lesion, captured_on=REMOVED)
    PredictionFactory(image=scar, outcome="monitor")
    long_ago = REMOVED - timedelta(days=400)
    reviews.record_review(
        user=user, image=scar, conclusion="mel", management="done", removed_on=long_ago
    )
    between = LesionImageFactory(
        lesion=lesion, captured_on=REMOVED - timedelta(days=90), placed_at=timezone.now()
    )
    PredictionFactory(image=between, outcome="urgent")
    corrections.withdraw(user=user, record=scar, reason="Another spot")
    corrections.restore(user=user, record=LesionImage.everything.get(pk=scar.pk))
    lesion.refresh_from_db()
    assert lesion.closed_on == long_ago
    assert standing(lesion, user)[0] == "urgent"


def test_removed_on_an_unknown_day_hides_no_picture_that_was_not_shown(personas):
    user, lesion = personas.clinician, LesionFactory(patient=personas.patient)
    seen = LesionImageFactory(lesion=lesion, captured_on=REMOVED, placed_at=timezone.now())
    shown_at = arrivals.last(lesion, user)
    came = LesionImageFactory(
        lesion=lesion, captured_on=REMOVED, placed_at=arrivals.next_moment(lesion)
    )
    PredictionFactory(image=came, outcome="urgent")
    with pytest.raises(ValidationError, match="a new picture"):
        reviews.record_review(
            user=user, image=seen, conclusion="nv", management="done", shown_at=shown_at
        )
    assert standing(lesion, user)[0] == "urgent"


def test_nor_on_the_day_of_another_removal(personas):
    user, lesion = personas.clinician, LesionFactory(patient=personas.patient)
    scar = LesionImageFactory(lesion=lesion, captured_on=AGAIN)
    PredictionFactory(image=scar, outcome="monitor")
    reviews.record_review(
        user=user, image=scar, conclusion="mel", management="done", removed_on=REMOVED
    )
    between = LesionImageFactory(
        lesion=lesion, captured_on=REMOVED + timedelta(days=2), placed_at=timezone.now()
    )
    PredictionFactory(image=between, outcome="urgent")
    corrections.withdraw(user=user, record=scar, reason="Another spot")
    histology = reviews.record_histology(
        user=user,
        lesion=lesion,
        diagnosis="nv",
        examined_on=REMOVED + timedelta(days=5),
        excised=True,
    )
    corrections.withdraw(user=user, record=histology, reason="Another spot")
    corrections.restore(user=user, record=LesionImage.everything.get(pk=scar.pk))
    assert standing(lesion, user)[0] == "urgent"
