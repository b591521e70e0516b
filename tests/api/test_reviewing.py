"""Signed reviews, histology, the worklist and agreement, as other systems see them."""

from __future__ import annotations

from datetime import date

import pytest

from screening.models import Review
from tests.api.conftest import pointers
from tests.factories import (
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    ReviewFactory,
)

REVIEWS = "/api/v1/reviews/"
HISTOLOGIES = "/api/v1/histologies/"
WORKLIST = "/api/v1/worklist/"


@pytest.fixture
def image(lesion):
    return LesionImageFactory(lesion=lesion)


def chosen(image, **fields):
    return {"image": str(image.pk), "conclusion": "nv", "management": "monitor", **fields}


def test_a_review_is_signed_and_supersedes_ones_own(clinician, image):
    first = clinician.post(REVIEWS, chosen(image, conclusion="mel")).json()
    second = clinician.post(REVIEWS, chosen(image)).json()
    assert len(second["signature"]) == 64
    assert second["signature_holds"] is True
    assert second["supersedes"] == first["id"]
    assert clinician.get(first["url"]).json()["superseded_by"] == second["id"]
    standing = clinician.get(REVIEWS, {"standing": "true"}).json()["results"]
    assert [one["id"] for one in standing] == [second["id"]]
    shown = clinician.get(f"/api/v1/images/{image.pk}/").json()["latest_review"]
    assert shown["id"] == second["id"]


def test_a_colleagues_review_is_superseded_where_it_is_named(personas, clinician, image):
    colleagues = ReviewFactory(image=image, reviewer=personas.admin)
    made = clinician.post(REVIEWS, chosen(image, supersedes=str(colleagues.pk)))
    assert made.status_code == 201
    assert made.json()["supersedes"] == str(colleagues.pk)


def test_what_does_not_stand_there_or_is_foreign_cannot_be_superseded(personas, clinician, image):
    elsewhere = ReviewFactory(image__lesion=image.lesion)
    foreign = ReviewFactory(image__lesion__patient=personas.own_patient)
    for named in (elsewhere, foreign):
        answer = clinician.post(REVIEWS, chosen(image, supersedes=str(named.pk)))
        assert answer.status_code == 400
        assert "/supersedes" in pointers(answer)
    assert not Review.objects.filter(image=image).exists()


def test_signatures_are_ours_to_make(clinician, image):
    answer = clinician.post(REVIEWS, chosen(image, signature="0" * 64))
    assert answer.status_code == 201
    assert answer.json()["signature"] != "0" * 64


def test_an_edited_row_says_so(clinician, image):
    review = ReviewFactory(image=image)
    Review.objects.filter(pk=review.pk).update(conclusion="vasc")
    assert clinician.get(f"{REVIEWS}{review.pk}/").json()["signature_holds"] is False


def test_histology_is_recorded_by_clinicians_and_never_changed(
    personas, clinician, client_of, lesion
):
    body = {
        "lesion": str(lesion.pk),
        "diagnosis": "mel",
        "examined_on": "2026-03-20",
        "breslow_mm": "0.40",
    }
    made = clinician.post(HISTOLOGIES, body)
    assert made.status_code == 201
    assert made.json()["recorded_by"] == str(personas.clinician)
    assert clinician.patch(made.json()["url"], {"diagnosis": "nv"}).status_code == 405
    assert client_of(personas.assistant).post(HISTOLOGIES, body).status_code == 403
    wrong = clinician.post(HISTOLOGIES, body | {"diagnosis": "nv"})
    assert wrong.json()["errors"][0]["detail"] == "Only a melanoma has a Breslow thickness."
    listed = clinician.get(HISTOLOGIES, {"lesion": str(lesion.pk), "diagnosis": "mel"}).json()
    assert len(listed["results"]) == 1


def test_the_worklist_comes_in_its_order_and_by_pages(personas, clinician):
    for label, outcome in (("calm", "monitor"), ("urgent", "urgent"), ("seen", "urgent")):
        lesion = LesionFactory(patient=personas.patient, label=label)
        PredictionFactory(image=LesionImageFactory(lesion=lesion), outcome=outcome)
        if label == "seen":
            ReviewFactory(image=lesion.images.get(), management="refer")
    body = clinician.get(WORKLIST, {"page_size": 1}).json()
    assert body["count"] == 2
    (first,) = body["results"]
    assert (first["label"], first["reasons"]) == ("urgent", ["urgent", "unreviewed"])
    assert first["outcome"] == "urgent"
    (second,) = clinician.get(body["next"]).json()["results"]
    assert second["label"] == "calm"
    (seen,) = clinician.get(WORKLIST, {"reviewed": "reviewed"}).json()["results"]
    assert (seen["label"], seen["management"], seen["reviewed"]) == ("seen", "refer", True)


def test_the_worklist_is_narrowed_as_on_the_page(personas, clinician, lesion, image):
    PredictionFactory(image=image, outcome="urgent")
    for query, there in (
        ({"reason": "urgent"}, True),
        ({"reason": "overdue"}, False),
        ({"outcome": "urgent"}, True),
        ({"clinic": personas.clinic.pk}, True),
        ({"clinic": personas.patient.pk}, False),
        ({"arrived_from": date.max}, False),
        ({"arrived_until": date(2000, 1, 1)}, False),
        ({"search": "n-1"}, True),
        ({"search": "zzz"}, False),
    ):
        found = clinician.get(WORKLIST, query).json()["results"]
        assert bool(found) == there, query


def test_agreement_is_counted_for_members(personas, clinician, client_of, lesion, image):
    PredictionFactory(image=image)
    HistologyFactory(lesion=lesion, diagnosis="mel")
    url = f"/api/v1/clinics/{personas.clinic.pk}/agreement/"
    _, found, _ = clinician.get(url).json()["comparisons"]
    assert (found["first"], found["second"]) == ("model", "histology")
    assert (found["compared"], found["agreed"], found["share"]) == (1, 0, None)
    assert found["counts"] == [{"first": "nv", "second": "mel", "count": 1}]
    assert client_of(personas.colleague).get(url).status_code == 404
