"""Without ``shown_at``, an act over the API settles nothing that nobody may have seen."""

from __future__ import annotations

from datetime import date

import pytest

from screening.models import DoctorVisit, Histology, Review
from tests import clients
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory

API = "/api/v1"
DAY, EARLIER, NOW = date(2026, 3, 1), date(2026, 1, 1), date(2026, 3, 20)


def urgent(lesion, day):
    return PredictionFactory(
        image=LesionImageFactory(lesion=lesion, captured_on=day), outcome="urgent"
    ).image


def sent(kind, lesion, image):
    """The path, and what a program sends."""
    if kind is Review:
        return f"{API}/reviews/", {
            "image": str(image.pk),
            "conclusion": "nv",
            "management": "monitor",
        }
    named = {"lesion": str(lesion.pk)}
    if kind is Histology:
        return f"{API}/histologies/", named | {"diagnosis": "nv", "examined_on": str(NOW)}
    return f"{API}/visits/", named | {"finding": "harmless", "visited_on": str(NOW)}


@pytest.mark.parametrize("kind", [Review, Histology, DoctorVisit])
def test_it_settles_what_it_names_and_no_more(kind, client_of, personas):
    own = kind is DoctorVisit
    caller = client_of(personas.self_tracker if own else personas.clinician)
    lesion = LesionFactory(patient=personas.own_patient if own else personas.patient)
    urgent(lesion, EARLIER)
    image = urgent(lesion, DAY)

    def standing():
        return caller.get(f"{API}/lesions/{lesion.pk}/").json()["standing_outcome"]

    seen = clients.shown(lesion)["shown_at"]
    urgent(lesion, EARLIER)  # it arrives while the person looks at the others
    path, said = sent(kind, lesion, image)
    for answer in (caller.post(path, said), caller.post(path, said | {"shown_at": seen})):
        assert answer.status_code == 201
        assert answer.json()["shown_at"]
        assert standing() == "urgent"
    seen = clients.shown(lesion)["shown_at"]
    assert caller.post(path, said | {"shown_at": seen}).status_code == 201
    assert standing() is None


def test_a_review_settles_the_picture_and_those_there_before_it(client_of, personas):
    caller, lesion = client_of(personas.clinician), LesionFactory(patient=personas.patient)
    urgent(lesion, EARLIER)
    path, said = sent(Review, lesion, urgent(lesion, DAY))
    assert caller.post(path, said).status_code == 201
    assert caller.get(f"{API}/lesions/{lesion.pk}/").json()["standing_outcome"] is None


def test_a_correction_knows_what_it_corrects_knew(client_of, personas):
    caller, lesion = client_of(personas.clinician), LesionFactory(patient=personas.patient)
    image = urgent(lesion, DAY)
    urgent(lesion, EARLIER)
    path, said = sent(Review, lesion, image)
    seen = clients.shown(lesion)["shown_at"]
    caller.post(path, said | {"shown_at": seen})
    caller.post(path, said | {"note": "Of the left calf."})
    assert Review.objects.count() == 2
    assert caller.get(f"{API}/lesions/{lesion.pk}/").json()["standing_outcome"] is None
