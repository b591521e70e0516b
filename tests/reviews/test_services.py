"""Signed reviews: who concludes, which supersedes which, and no unnoticed changes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone

from screening.models import Review
from screening.predictions.queries import latest_review, standing_reviews
from screening.reviews import chain
from screening.reviews import services as review_services
from tests.factories import LesionFactory, LesionImageFactory, ReviewFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def image(personas):
    return LesionImageFactory(lesion=LesionFactory(patient=personas.patient))


def conclude(user, image, conclusion="nv", **fields):
    return review_services.record_review(
        user=user, image=image, conclusion=conclusion, management="monitor", **fields
    )


@pytest.mark.parametrize("persona", ["admin", "clinician"])
def test_a_clinician_concludes_and_concludes_anew(personas, image, persona):
    user = getattr(personas, persona)
    first = conclude(user, image, "mel")
    latest = conclude(user, image, "nv")
    assert latest.supersedes == first
    assert image.reviews.count() == 2
    assert standing_reviews(image) == [latest]
    assert latest_review(image) == latest
    assert list(Review.objects.standing()) == [latest]


def test_colleagues_conclusions_stand_beside_each_other(personas, image):
    first = conclude(personas.admin, image, "mel")
    second = conclude(personas.clinician, image, "nv")
    assert second.supersedes is None
    assert standing_reviews(image) == [second, first]


def test_a_colleagues_conclusion_is_superseded_where_it_is_named(personas, image):
    first = conclude(personas.admin, image, "mel")
    assert review_services.replaceable(user=personas.clinician, image=image) == [first]
    second = conclude(personas.clinician, image, "nv", supersedes=first)
    assert second.supersedes == first
    assert standing_reviews(image) == [second]


def test_one_supersedes_what_stands_on_the_image_and_ones_own_before_others(personas, image):
    other = LesionImageFactory(lesion=image.lesion)
    elsewhere = conclude(personas.admin, other)
    standing = conclude(personas.admin, image)
    with pytest.raises(ValidationError, match="no longer stands for this picture"):
        conclude(personas.clinician, image, supersedes=elsewhere)
    conclude(personas.admin, image)
    with pytest.raises(ValidationError, match="no longer stands for this picture"):
        conclude(personas.clinician, image, supersedes=standing)
    conclude(personas.clinician, image)
    assert review_services.replaceable(user=personas.clinician, image=image) == []
    with pytest.raises(ValidationError, match="supersedes your own"):
        conclude(personas.clinician, image, supersedes=image.reviews.get(supersedes=standing))


def test_an_assistant_never_concludes_nor_does_the_person(personas, image):
    own = LesionImageFactory(lesion__patient=personas.own_patient)
    for user, of in [(personas.assistant, image), (personas.self_tracker, own)]:
        with pytest.raises(PermissionDenied):
            conclude(user, of)
        with pytest.raises(PermissionDenied):
            histology(user, of.lesion)


def test_something_else_needs_a_note(personas, image):
    with pytest.raises(ValidationError, match="Say in the note"):
        conclude(personas.clinician, image, "other")


def test_reviews_form_a_chain_whatever_their_image(personas, image):
    other = LesionImageFactory(lesion=image.lesion)
    made = [conclude(personas.admin, one) for one in (image, other, image)]
    assert [review.number for review in made] == [1, 2, 3]
    assert [review.previous_signature for review in made] == [
        "",
        made[0].signature,
        made[1].signature,
    ]
    assert len({review.signature for review in made}) == 3
    assert list(chain.broken()) == []


def test_a_signature_holds_after_a_round_trip_through_the_database(personas, image):
    review = conclude(personas.clinician, image, "other", note="Ein Fremdkörper, ½ mm\nTief.")
    assert Review.objects.get(pk=review.pk).signature_holds


@pytest.mark.parametrize(
    "change",
    [
        {"conclusion": "mel"},
        {"management": "none"},
        {"note": "All is well."},
        {"created": timezone.now() - timedelta(days=1)},
        {"signature": "0" * 64},
        {"previous_signature": "0" * 64},
        {"number": 7},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_edited_row_is_found(personas, image, change):
    for _ in range(3):
        conclude(personas.clinician, image)
    second = Review.objects.get(number=2)
    Review.objects.filter(pk=second.pk).update(**change)
    edited = Review.objects.get(pk=second.pk)
    assert not edited.signature_holds
    assert edited in {fault.link for fault in chain.broken()}


def test_who_signed_and_of_what_cannot_be_swapped(personas, image):
    review = conclude(personas.clinician, image)
    other = LesionImageFactory(lesion=image.lesion)
    for change in ({"reviewer": personas.admin}, {"image": other}):
        Review.objects.filter(pk=review.pk).update(**change)
        assert not Review.objects.get(pk=review.pk).signature_holds
        Review.objects.filter(pk=review.pk).update(reviewer=personas.clinician, image=image)
    assert Review.objects.get(pk=review.pk).signature_holds


def test_a_deleted_row_is_found(personas, image):
    for one in (image, LesionImageFactory(lesion=image.lesion), LesionImageFactory()):
        ReviewFactory(image=one)
    Review.objects.get(number=2).delete()
    (fault,) = chain.broken()
    assert fault.link.number == 3
    Review.objects.get(number=1).delete()
    assert [fault.link.number for fault in chain.broken()] == [3]


def test_who_has_another_key_cannot_sign(personas, image, settings):
    review = conclude(personas.clinician, image)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another key"
    assert not review.signature_holds
    settings.SECRET_KEY_FALLBACKS = [old]
    assert review.signature_holds


def test_the_command_says_whether_all_is_as_signed(personas, image, capsys):
    call_command("verify_reviews")
    assert "No review" in capsys.readouterr().out
    last = [conclude(personas.clinician, image) for _ in range(2)][-1]
    call_command("verify_reviews")
    assert capsys.readouterr().out == f"2 reviews, all as signed. The last: {last.signature}\n"
    Review.objects.filter(number=1).update(note="x")
    with pytest.raises(CommandError, match="1 fault"):
        call_command("verify_reviews")
    assert "is not as it was signed" in capsys.readouterr().err


def histology(user, lesion, **fields):
    defaults = {"diagnosis": "mel", "examined_on": timezone.localdate()}
    return review_services.record_histology(user=user, lesion=lesion, **(defaults | fields))


def test_histology_is_recorded_and_a_later_one_stands(personas, image):
    histology(personas.clinician, image.lesion, breslow_mm="0.4")
    latest = histology(personas.admin, image.lesion, diagnosis="nv", note="Second opinion.")
    assert image.lesion.histologies.count() == 2
    assert image.lesion.histologies.first() == latest


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"examined_on": timezone.localdate() + timedelta(days=2)}, "in the future"),
        ({"diagnosis": "nv", "breslow_mm": "0.4"}, "Only a melanoma has a Breslow thickness"),
        ({"diagnosis": "other"}, "Say in the note"),
        ({"diagnosis": "uncertain"}, "not a valid choice"),
    ],
)
def test_histology_that_cannot_be_is_refused(personas, image, fields, message):
    with pytest.raises(ValidationError, match=message):
        histology(personas.clinician, image.lesion, **fields)
