"""The write path of the body map."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import reverse

from screening.body_map import queries
from screening.body_map import services as body_map_services
from screening.body_map.services import Spot
from screening.models import Lesion, LesionPosition
from tests.factories import (
    DoctorVisitFactory,
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    ReviewFactory,
)

pytestmark = pytest.mark.django_db

CHEST = Spot("front", 0.6, 0.27)
FOREARM = Spot("front", 0.81, 0.47)


@pytest.fixture
def lesion(personas):
    return LesionFactory(patient=personas.patient, body_site="")


def place(personas, lesion, spot):
    return body_map_services.place_lesion(user=personas.clinician, lesion=lesion, spot=spot)


def test_region_side_and_site_follow_from_the_point(personas, lesion):
    position = place(personas, lesion, CHEST)
    assert (position.region, position.side) == ("chest", "left")
    assert position.placed_by == personas.clinician
    lesion.refresh_from_db()
    assert lesion.body_site == "chest"


def test_a_move_is_a_row_more(personas, lesion):
    first = place(personas, lesion, CHEST)
    second = place(personas, lesion, FOREARM)
    assert list(lesion.positions.all()) == [second, first]
    first.refresh_from_db()
    assert (first.x, first.y) == (CHEST.x, CHEST.y)
    lesion.refresh_from_db()
    assert lesion.body_site == "upper extremity"


def test_the_same_spot_again_is_no_move(personas, lesion):
    assert place(personas, lesion, CHEST) == place(personas, lesion, CHEST)
    assert lesion.positions.count() == 1


def test_a_site_that_was_corrected_stays(personas, lesion):
    place(personas, lesion, CHEST)
    Lesion.objects.filter(pk=lesion.pk).update(body_site="neck")
    lesion.refresh_from_db()
    place(personas, lesion, FOREARM)
    lesion.refresh_from_db()
    assert lesion.body_site == "neck"


def test_a_site_that_was_named_before_the_first_place_stays(personas):
    lesion = LesionFactory(patient=personas.patient, body_site="neck")
    place(personas, lesion, CHEST)
    lesion.refresh_from_db()
    assert lesion.body_site == "neck"


@pytest.mark.parametrize(
    "spot",
    [
        Spot("front", 0.02, 0.02),
        Spot("front", -0.5, 0.3),
        Spot("front", 0.5, 1.5),
        Spot("front", float("nan"), 0.3),
        Spot("front", float("inf"), 0.3),
        Spot("side", 0.5, 0.3),
        Spot("", 0.5, 0.3),
    ],
)
def test_beside_the_body_is_refused(personas, lesion, spot):
    with pytest.raises(ValidationError, match="on the body"):
        place(personas, lesion, spot)
    assert not lesion.positions.exists()


@pytest.mark.parametrize("who", ["viewer", "colleague", "stranger"])
def test_only_who_may_write_places(personas, lesion, who):
    with pytest.raises(PermissionDenied):
        body_map_services.place_lesion(user=getattr(personas, who), lesion=lesion, spot=CHEST)
    assert not LesionPosition.objects.exists()


def test_a_new_lesion_with_a_place(personas):
    lesion = body_map_services.open_lesion(
        user=personas.assistant, patient=personas.patient, spot=CHEST
    )
    assert (lesion.body_site, lesion.positions.get().region) == ("chest", "chest")


def test_a_place_that_is_refused_leaves_no_lesion(personas):
    with pytest.raises(ValidationError):
        body_map_services.open_lesion(
            user=personas.assistant, patient=personas.patient, spot=Spot("front", 0, 0)
        )
    assert not personas.patient.lesions.exists()


@pytest.mark.parametrize("what", ["malignant", "excise", "biopsy"])
def test_what_is_still_to_be_done_is_not_drawn_as_settled(client, personas, what):
    own = what == "biopsy"
    user = personas.self_tracker if own else personas.clinician
    patient = personas.own_patient if own else personas.patient
    lesion = LesionPositionFactory(lesion__patient=patient).lesion
    if what == "malignant":
        HistologyFactory(lesion=lesion, recorded_by=user, diagnosis="mel")
    elif what == "excise":
        ReviewFactory(image=LesionImageFactory(lesion=lesion), reviewer=user, management="excise")
    else:
        DoctorVisitFactory(lesion=lesion, recorded_by=user, finding="biopsy")
    assert [queries.state_of(one) for one in queries.overview(patient, user)] == ["awaited"]
    client.force_login(user)
    page = client.get(reverse("patient", args=[patient.pk])).text
    assert 'id="shape-awaited"' in page and "Still to be done" in page
