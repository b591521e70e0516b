"""A lesion is closed exactly while a standing act says that it was removed."""

from __future__ import annotations

from datetime import date

import pytest

from screening.corrections import merges, moves, services
from screening.models import Correction, Lesion
from screening.records import visits
from screening.reviews import services as review_services
from tests.factories import LesionFactory, LesionImageFactory

DAY = date(2026, 3, 15)


@pytest.fixture
def image(personas):
    return LesionImageFactory(lesion__patient=personas.patient, captured_on=DAY)


@pytest.fixture
def own(personas):
    return LesionFactory(patient=personas.own_patient)


def is_closed(lesion):
    return Lesion.everything.get(pk=lesion.pk).is_closed


def conclude(user, image, management="done"):
    review_services.record_review(user=user, image=image, conclusion="nv", management=management)


def examine(user, lesion, excised=True, **more):
    return review_services.record_histology(
        user=user, lesion=lesion, diagnosis="nv", examined_on=DAY, excised=excised, **more
    )


def visit(user, lesion):
    return visits.record_visit(user=user, lesion=lesion, visited_on=DAY, finding="removed")


def withdraw(user, record):
    services.withdraw(user=user, record=record, reason="Another spot.")


def test_a_visit_is_withdrawn(personas, own):
    first, second = (visit(personas.self_tracker, own) for _ in range(2))
    withdraw(personas.self_tracker, first)
    assert is_closed(own)
    withdraw(personas.self_tracker, second)
    assert not is_closed(own)
    assert Correction.objects.filter(kind="reopened", lesion=own).count() == 1


def test_a_conclusion_is_superseded(personas, image):
    conclude(personas.clinician, image)
    conclude(personas.clinician, image, "done")
    assert is_closed(image.lesion)
    conclude(personas.clinician, image, "excise")
    assert not is_closed(image.lesion)


def test_a_histology_is_corrected(personas, image):
    first = examine(personas.clinician, image.lesion)
    examine(personas.clinician, image.lesion, excised=False)
    assert is_closed(image.lesion)  # on another lesion: nothing was withdrawn
    examine(personas.clinician, image.lesion, excised=None, supersedes=first)
    assert not is_closed(image.lesion)


def test_what_another_said_keeps_it_closed(personas, image):
    conclude(personas.clinician, image)
    examine(personas.clinician, image.lesion)
    conclude(personas.clinician, image, "monitor")
    assert is_closed(image.lesion)


def test_the_picture_of_the_conclusion_is_withdrawn(personas, image):
    conclude(personas.clinician, image)
    withdraw(personas.clinician, image)
    assert not is_closed(image.lesion)


def test_or_moved_elsewhere(personas, image):
    before = image.lesion
    conclude(personas.clinician, image)
    to = LesionFactory(patient=personas.patient)
    moves.move_image(user=personas.clinician, image=image, lesion=to, acknowledged=True)
    assert not is_closed(before)


def test_or_goes_back_to_the_lesion_that_was_merged(personas, image):
    merged, into = image.lesion, LesionFactory(patient=personas.patient)
    merges.merge_lesions(user=personas.clinician, lesion=merged, into=into, acknowledged=True)
    image.refresh_from_db()
    conclude(personas.clinician, image)
    assert is_closed(into)
    services.restore(user=personas.clinician, record=merged, acknowledged=True)
    assert not is_closed(into)
