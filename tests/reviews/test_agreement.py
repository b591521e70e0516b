"""Agreement between model, clinicians and histology, with counts made by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.urls import reverse

from ml.diagnoses import Diagnosis
from screening.reviews import agreement
from tests.factories import (
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    ReviewFactory,
)

pytestmark = pytest.mark.django_db

HISTOLOGY_DAY = datetime(2026, 4, 1, 12, tzinfo=UTC)


def image_read_as(patient, code, **fields):
    image = LesionImageFactory(lesion=LesionFactory(patient=patient), **fields)
    shares = {d.value: 0.94 if d == code else 0.01 for d in Diagnosis}
    PredictionFactory(image=image, probabilities=shares)
    return image


def found(personas, user="viewer"):
    agreements = agreement.of_clinic(personas.clinic, getattr(personas, user))
    return {(one.first, one.second): one for one in agreements}


def test_what_stands_on_an_image_is_set_beside_its_reading(personas):
    patient = personas.patient
    ReviewFactory(image=image_read_as(patient, "nv"), conclusion="nv")
    mel = image_read_as(patient, "nv")
    superseded = ReviewFactory(image=mel, conclusion="nv")
    ReviewFactory(image=mel, conclusion="mel", supersedes=superseded)
    ReviewFactory(image=image_read_as(patient, "mel"), conclusion="bcc")
    ReviewFactory(image=image_read_as(patient, "nv"), conclusion="uncertain")
    ReviewFactory(image=LesionImageFactory(lesion__patient=patient), conclusion="nv")  # not read
    ReviewFactory(image=image_read_as(personas.own_patient, "nv"))
    one = found(personas)["model", "clinician"]
    assert one.counts == {
        ("nv", "nv"): 1,
        ("nv", "mel"): 1,
        ("mel", "bcc"): 1,
        ("nv", "uncertain"): 1,
    }
    assert (one.compared, one.agreed, one.agreed_on_cancer, one.left_out) == (3, 1, 2, 1)
    assert one.share is None
    assert one.interval is None


def test_histology_is_set_beside_the_last_image_up_to_it(personas):
    image = image_read_as(personas.patient, "nv", captured_on=date(2026, 2, 1))
    later = LesionImageFactory(lesion=image.lesion, captured_on=date(2026, 3, 10))
    PredictionFactory(image=later, probabilities={d.value: float(d == "mel") for d in Diagnosis})
    scar = LesionImageFactory(lesion=image.lesion, captured_on=date(2026, 5, 1))
    PredictionFactory(image=scar, probabilities={d.value: float(d == "df") for d in Diagnosis})
    HistologyFactory(lesion=image.lesion, diagnosis="nv", examined_on=date(2026, 3, 19))
    HistologyFactory(lesion=image.lesion, diagnosis="mel", examined_on=date(2026, 3, 20))
    assert found(personas)["model", "histology"].counts == {("mel", "mel"): 1}


def test_a_conclusion_counts_only_if_it_was_signed_before_the_histology_was_known(personas):
    known = image_read_as(personas.patient, "nv")
    HistologyFactory(lesion=known.lesion, diagnosis="mel", created=HISTOLOGY_DAY)
    ReviewFactory(image=known, conclusion="mel", created=datetime(2026, 4, 2, tzinfo=UTC))
    assert found(personas)["clinician", "histology"].counts == {}
    ReviewFactory(image=known, conclusion="bkl", created=datetime(2026, 3, 1, tzinfo=UTC))
    ReviewFactory(image=known, conclusion="nv", created=datetime(2026, 3, 2, tzinfo=UTC))
    assert found(personas)["clinician", "histology"].counts == {("nv", "mel"): 1}


def test_a_share_is_given_from_twenty_pairs_on(personas):
    for number in range(19):
        image = image_read_as(personas.patient, "nv")
        ReviewFactory(image=image, conclusion="nv" if number else "mel")
    assert found(personas)["model", "clinician"].share is None
    ReviewFactory(image=image_read_as(personas.patient, "nv"), conclusion="nv")
    one = found(personas)["model", "clinician"]
    assert one.share == 0.95
    # Wilson's interval for 19 of 20, from published tables.
    assert one.interval == pytest.approx((0.764, 0.991), abs=0.001)


def test_a_clinician_who_concludes_first_counts_only_what_they_concluded_on(personas):
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    own, other = (image_read_as(personas.patient, "nv") for _ in range(2))
    for image in (own, other):
        ReviewFactory(image=image, reviewer=personas.admin)
    ReviewFactory(image=own, reviewer=personas.clinician)
    assert found(personas, "viewer")["model", "clinician"].compared == 3
    assert found(personas, "clinician")["model", "clinician"].compared == 2
    assert found(personas, "admin")["model", "clinician"].compared == 3


def test_the_page_shows_counts_and_says_too_few(client, personas):
    ReviewFactory(image=image_read_as(personas.patient, "nv"), conclusion="mel")
    client.force_login(personas.viewer)
    html = client.get(reverse("clinic_agreement", args=[personas.clinic.pk])).content.decode()
    assert html.count('<td class="number">too few</td>') == 3
    assert "<td>Melanocytic nevus (mole)</td><td>Melanoma</td>" in html


def test_it_costs_the_same_for_few_and_for_many(
    client, personas, django_assert_num_queries, django_assert_max_num_queries
):
    client.force_login(personas.clinician)
    url = reverse("clinic_agreement", args=[personas.clinic.pk])

    def add():
        image = image_read_as(personas.patient, "nv")
        ReviewFactory(image=image)
        HistologyFactory(lesion=image.lesion)

    add()
    with django_assert_max_num_queries(10) as few:
        client.get(url)
    for _ in range(5):
        add()
    with django_assert_num_queries(len(few)):
        client.get(url)
