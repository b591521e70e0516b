"""Histology and visits are corrected by a new entry, or withdrawn: the same way for both."""

from __future__ import annotations

from datetime import date

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from screening.corrections import merges, services
from screening.corrections.undo import undo
from screening.models import Correction, Histology, Lesion
from screening.predictions.outcomes import NOTHING
from screening.records import visits
from screening.reviews import services as review_services
from tests.factories import (
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    ReviewFactory,
)
from tests.predictions.test_outcomes import standing_in_python, standing_rank

pytestmark = pytest.mark.django_db

DAY = date(2026, 3, 15)
LATER = date(2026, 3, 20)


@pytest.fixture(params=["histology", "visit"])
def kind(request):
    return request.param


@pytest.fixture
def lesion(kind, personas):
    """With an urgent picture, the clinic's or the person's own."""
    is_own = kind == "visit"
    lesion = LesionFactory(patient=personas.own_patient if is_own else personas.patient)
    image = LesionImageFactory(lesion=lesion, captured_on=DAY)
    return PredictionFactory(image=image, outcome="urgent").image.lesion


@pytest.fixture
def user(lesion, personas):
    return lesion.patient.owner or personas.clinician


def enter(lesion, user, on=LATER, *, removed=False, **more):
    if lesion.patient.owner_id is None:
        said = {"diagnosis": "nv", "examined_on": on, "excised": removed}
        return review_services.record_histology(user=user, lesion=lesion, **said, **more)
    finding = "removed" if removed else "harmless"
    return visits.record_visit(user=user, lesion=lesion, visited_on=on, finding=finding, **more)


def withdraw(user, record):
    return services.withdraw(user=user, record=record, reason="Another spot.")


def rank(lesion, user):
    return standing_rank(lesion.pk, user)


def test_what_it_settled_rises_at_once_and_the_undo_settles_it_again(lesion, user):
    entry = enter(lesion, user)
    assert rank(lesion, user) == NOTHING
    withdraw(user, entry)
    assert rank(lesion, user) == 0
    assert not type(entry).objects.exists()
    out = type(entry).everything.get()
    assert (out.withdrawn_by, out.withdrawn_because) == (user, "Another spot.")
    (correction,) = lesion.corrections.all()
    assert (correction.kind, correction.made_by, correction.reason) == (
        "withdrawn",
        user,
        "Another spot.",
    )
    undo(user=user, correction=correction)
    assert rank(lesion, user) == NOTHING


def test_it_needs_a_reason(lesion, user):
    with pytest.raises(ValidationError, match="Say why"):
        services.withdraw(user=user, record=enter(lesion, user), reason=" ")


def test_it_closes_nothing_any_more(lesion, user):
    entry = enter(lesion, user, removed=True)
    assert Lesion.objects.get(pk=lesion.pk).closed_on == LATER
    withdraw(user, entry)
    assert not Lesion.objects.get(pk=lesion.pk).is_closed
    assert rank(lesion, user) == 0
    services.restore(user=user, record=entry)
    assert Lesion.objects.get(pk=lesion.pk).closed_on == LATER


def test_put_back_it_closes_nothing_over_a_symptom_marked_since(lesion, user):
    entry = withdraw(user, enter(lesion, user, removed=True))
    Lesion.objects.filter(pk=lesion.pk).update(bleeding=True, symptoms_at=timezone.now())
    services.restore(user=user, record=entry)
    assert not Lesion.objects.get(pk=lesion.pk).is_closed


def test_put_back_it_settles_no_picture_that_came_meanwhile(lesion, user):
    entry = withdraw(user, enter(lesion, user))
    came = LesionImageFactory(lesion=lesion, captured_on=DAY)
    PredictionFactory(image=came, outcome="see_doctor")
    services.restore(user=user, record=entry)
    assert standing_in_python(lesion, user).outcome == "see_doctor"


def test_a_new_entry_takes_the_place_of_the_old(lesion, user):
    wrong = enter(lesion, user)
    right = enter(lesion, user, DAY.replace(day=1), supersedes=wrong)
    assert list(type(wrong).objects.standing()) == [right]
    assert rank(lesion, user) == 0, "it was on an earlier day, before the picture"
    with pytest.raises(ValidationError, match="no longer stands"):
        enter(lesion, user, supersedes=wrong)


def test_a_corrected_day_of_removal_counts(lesion, user):
    wrong = enter(lesion, user, DAY, removed=True)
    right = enter(lesion, user, LATER, removed=True, supersedes=wrong)
    assert Lesion.objects.get(pk=lesion.pk).closed_on == LATER
    enter(lesion, user, LATER, supersedes=right)
    assert not Lesion.objects.get(pk=lesion.pk).is_closed


@pytest.mark.parametrize("then", [True, False])
def test_the_lesion_is_closed_as_the_entry_says_that_stands(lesion, user, then):
    old = enter(lesion, user, DAY, removed=True)
    new = enter(lesion, user, LATER, removed=then, supersedes=old)
    for write, day in (
        (withdraw, DAY),
        (lambda user, record: services.restore(user=user, record=record), LATER if then else None),
    ):
        write(user, new)
        assert Lesion.objects.get(pk=lesion.pk).closed_on == day


def test_what_stands_again_closes_nothing_over_what_came_since(lesion, user):
    old = enter(lesion, user, removed=True)
    new = enter(lesion, user, supersedes=old)
    came = LesionImageFactory(lesion=lesion, captured_on=DAY)
    PredictionFactory(image=came, outcome="see_doctor")
    withdraw(user, new)
    assert not Lesion.objects.get(pk=lesion.pk).is_closed
    assert standing_in_python(lesion, user).outcome == "see_doctor"


def test_what_was_corrected_stands_again_when_the_new_entry_is_withdrawn(lesion, user):
    old = enter(lesion, user)
    new = enter(lesion, user, supersedes=old)
    with pytest.raises(ValidationError, match="later entry corrects it"):
        withdraw(user, old)
    withdraw(user, new)
    assert list(type(old).objects.standing()) == [old]
    services.restore(user=user, record=new)
    assert list(type(old).objects.standing()) == [new]


def test_a_correction_of_what_is_gone_is_not_put_back(lesion, user):
    old = enter(lesion, user)
    new = enter(lesion, user, supersedes=old)
    withdraw(user, new)
    withdraw(user, old)
    with pytest.raises(ValidationError, match="itself corrected or withdrawn"):
        services.restore(user=user, record=new)
    services.restore(user=user, record=old)
    enter(lesion, user, supersedes=old)
    with pytest.raises(ValidationError, match="itself corrected or withdrawn"):
        services.restore(user=user, record=new)


def test_a_withdrawn_one_goes_along_when_lesions_are_merged(lesion, user):
    entry = withdraw(user, enter(lesion, user))
    into = LesionFactory(patient=lesion.patient)
    merges.merge_lesions(user=user, lesion=lesion, into=into, acknowledged=True)
    assert type(entry).everything.get().lesion == into
    assert rank(into, user) == 0


def test_histology_is_withdrawn_by_clinicians_only(personas):
    histology = HistologyFactory(lesion__patient=personas.patient)
    for who in ("assistant", "viewer", "self_tracker", "colleague", "stranger"):
        with pytest.raises(PermissionDenied):
            withdraw(getattr(personas, who), histology)
    withdraw(personas.admin, histology)


def test_a_malignant_one_on_the_wrong_lesion_awaits_nothing_any_more(personas):
    lesion = LesionFactory(patient=personas.patient)
    histology = HistologyFactory(lesion=lesion, diagnosis="mel")
    assert standing_in_python(lesion, personas.clinician).awaits == "treatment"
    withdraw(personas.clinician, histology)
    assert standing_in_python(lesion, personas.clinician).awaits == ""


def test_what_clinicians_asked_for_is_awaited_again(personas):
    image = LesionImageFactory(lesion__patient=personas.patient)
    ReviewFactory(image=image, reviewer=personas.clinician, management="excise")
    histology = HistologyFactory(lesion=image.lesion)
    assert standing_in_python(image.lesion, personas.clinician).awaits == ""
    withdraw(personas.clinician, histology)
    assert standing_in_python(image.lesion, personas.clinician).awaits == "removal"


def test_who_must_conclude_first_does_not_learn_of_it(personas):
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    image = LesionImageFactory(lesion__patient=personas.patient)
    PredictionFactory(image=image)
    histology = HistologyFactory(lesion=image.lesion, recorded_by=personas.admin)
    withdraw(personas.admin, histology)
    everyone = Correction.objects.filter(histology=histology)
    assert not everyone.visible_to(personas.clinician).exists()
    assert everyone.visible_to(personas.admin).exists()
    assert not Histology.everything.kept_for(personas.clinician).exists()
