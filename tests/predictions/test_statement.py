"""Rules compiled once per process say the same as built anew, wherever the row stands."""

from __future__ import annotations

from datetime import date

import pytest
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.models import User
from screening.models import Alert, Lesion, LesionImage, Outcome
from screening.predictions import outcomes
from screening.records import queries as record_queries
from tests.factories import (
    AlertFactory,
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    ReviewFactory,
)

pytestmark = pytest.mark.django_db

RULES = [
    rule
    for module in (outcomes, record_queries)
    for rule in vars(module).values()
    if hasattr(rule, "__wrapped__") and rule.__module__ == module.__name__
]


def model_of(rule):
    return Alert if rule is outcomes._is_acted_on else Lesion


@pytest.fixture
def lesions(personas):
    """Urgent; settled by an admin; with a symptom that stands; to be watched, as examined."""
    urgent, settled, sore, plain = (LesionFactory(patient=personas.patient) for _ in range(4))
    Lesion.objects.filter(pk=sore.pk).update(itching=True, symptoms_at=timezone.now())
    for lesion, outcome in ((urgent, "urgent"), (settled, "see_doctor"), (plain, "monitor")):
        image = LesionImageFactory(lesion=lesion, captured_on=date(2026, 3, 1))
        PredictionFactory(image=image, outcome=outcome)
        AlertFactory(later=image)
    ReviewFactory(
        image=settled.images.latest_first().first(), reviewer=personas.admin, management="excise"
    )
    HistologyFactory(lesion=plain, recorded_by=personas.admin)
    return [urgent, settled, sore, plain]


def values(rule, user, *, built_anew):
    return list(asking(rule, user, built_anew=built_anew).values_list("value", flat=True))


def asking(rule, user, *, built_anew):
    value = rule.__wrapped__(user) if built_anew else rule(user)
    return model_of(rule).objects.order_by("pk").annotate(value=value)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_says_the_same_as_built_anew(rule, personas, lesions):
    """To everyone, and to those who must conclude first, in either order."""
    people = (personas.clinician, personas.admin, personas.viewer)
    for is_blind in (True, False, True):
        personas.clinic.review_before_reading = is_blind
        personas.clinic.save()
        for user in (User.objects.get(pk=one.pk) for one in people):
            assert values(rule, user, built_anew=False) == values(rule, user, built_anew=True)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_names_nobody(rule, personas):
    """What is compiled for one user is used for all who must not conclude first."""
    mine, theirs = (
        asking(rule, user, built_anew=True).query.sql_with_params()
        for user in (personas.clinician, personas.stranger)
    )
    assert mine[0] == theirs[0]
    # PostgreSQL's JSON is wrapped, and no two wrappers are equal.
    of_mine, of_theirs = (
        [getattr(one, "adapted", one) for one in asked[1]] for asked in (mine, theirs)
    )
    assert of_mine == of_theirs


def test_it_finds_its_row_at_any_depth(personas, lesions):
    """The tables inside have names of their own, so the outer row's is never taken for theirs."""
    user, urgent = personas.viewer, lesions[0]
    grave = Lesion.objects.filter(outcomes.is_grave(user), pk=OuterRef("lesion"))
    inside = LesionImage.objects.filter(Exists(grave))
    assert {image.lesion_id for image in inside} == {urgent.pk}
    of_grave = LesionImage.objects.filter(lesion__in=Lesion.objects.filter(outcomes.is_grave(user)))
    assert list(of_grave) == list(inside)
    ranks = {
        image.lesion_id: image.rank
        for image in LesionImage.objects.annotate(rank=outcomes._standing_rank(user, "lesion"))
    }
    assert ranks[urgent.pk] == outcomes.rank(Outcome.URGENT)
    direct = Lesion.objects.annotate(rank=outcomes._standing_rank(user)).in_bulk(ranks)
    assert {pk: lesion.rank for pk, lesion in direct.items()} == ranks
