"""The body map on the pages: placing, moving, and its display on a patient's page."""

from __future__ import annotations

import re

import numpy as np
import pytest
from django.urls import reverse

from screening.models import Lesion, LesionPosition
from screening.web.views.patients import LESIONS_A_PAGE
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    PredictionFactory,
    PredictionMapsFactory,
)
from tests.long_records import lengthen, place_and_map

pytestmark = pytest.mark.django_db

CHEST = {"view": "front", "x": "0.6", "y": "0.27"}


@pytest.fixture
def assistant(client, personas):
    client.force_login(personas.assistant)
    return client


def text_of(client, name, *args, **query):
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200
    return response.content.decode()


def point(text, lesion):
    """The mark of a lesion on the map, as HTML."""
    found = re.search(rf'<a class="map-point[^>]*id="point-{lesion.pk}".*?</a>', text, re.S)
    return found.group() if found else None


def test_a_new_lesion_is_placed_with_the_form(assistant, personas):
    url = reverse("lesion_new", args=[personas.patient.pk])
    answer = assistant.post(url, {**CHEST, "body_site": ""})
    lesion = Lesion.objects.get()
    assert answer.url == reverse("image_new", args=[lesion.pk])
    assert lesion.body_site == "chest"
    assert lesion.positions.get().placed_by == personas.assistant


def test_a_site_that_is_chosen_beside_the_map_counts(assistant, personas):
    url = reverse("lesion_new", args=[personas.patient.pk])
    assistant.post(url, {**CHEST, "body_site": "neck"})
    assert Lesion.objects.get().body_site == "neck"


def test_without_scripts_a_region_of_the_list_is_enough(assistant, personas):
    url = reverse("lesion_new", args=[personas.patient.pk])
    assistant.post(url, {"region": "back/right/calf"})
    position = LesionPosition.objects.get()
    assert (position.view, position.side, position.region) == ("back", "right", "calf")
    assert position.x > 0.5


def test_the_point_counts_before_its_own_region_and_another_region_before_the_point(
    assistant, personas
):
    url = reverse("lesion_new", args=[personas.patient.pk])
    assistant.post(url, {**CHEST, "region": "front//chest"})
    assert LesionPosition.objects.get().x == 0.6
    assistant.post(url, {**CHEST, "region": "front/left/palm"})
    assert LesionPosition.objects.first().region == "palm"


def test_a_lesion_may_be_left_without_a_place(assistant, personas):
    assistant.post(reverse("lesion_new", args=[personas.patient.pk]), {"label": "Mole"})
    lesion = Lesion.objects.get()
    assert not lesion.positions.exists()
    text = text_of(assistant, "patient", personas.patient.pk)
    assert reverse("lesion_place", args=[lesion.pk]) in text
    assert "Not on the body map yet" in text_of(assistant, "lesion", lesion.pk)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"view": "front", "x": "0.01", "y": "0.01"}, "Choose a point on the body."),
        ({"view": "front", "x": "7", "y": "0.3"}, "less than or equal to 1"),
        ({"view": "front", "x": "nan", "y": "0.3"}, "Enter a number"),
        ({"view": "side", "x": "0.5", "y": "0.3"}, "not one of the available choices"),
        ({"region": "front//tail"}, "not one of the available choices"),
    ],
)
def test_a_place_that_cannot_be_is_refused_with_a_word(assistant, personas, sent, message):
    lesion = LesionFactory(patient=personas.patient)
    for url in (
        reverse("lesion_new", args=[personas.patient.pk]),
        reverse("lesion_place", args=[lesion.pk]),
    ):
        response = assistant.post(url, {"notes": "kept", **sent})
        assert response.status_code == 200
        assert message in response.content.decode()
    assert Lesion.objects.count() == 1
    assert not LesionPosition.objects.exists()


def test_placing_needs_a_place(assistant, personas):
    lesion = LesionFactory(patient=personas.patient)
    response = assistant.post(reverse("lesion_place", args=[lesion.pk]), {"region": ""})
    assert "Choose a point on the body." in response.content.decode()


def test_a_point_chosen_on_the_patients_page_goes_into_the_form(assistant, personas):
    text = text_of(assistant, "lesion_new", personas.patient.pk, **CHEST)
    assert '<input type="hidden" name="x" value="0.6"' in text
    assert '<option value="chest" selected>' in text
    odd = text_of(assistant, "lesion_new", personas.patient.pk, view="front", x="a", y="9")
    assert 'name="x" id=' in odd


def test_a_move_is_told_on_the_lesions_page(assistant, personas):
    lesion = LesionFactory(patient=personas.patient)
    url = reverse("lesion_place", args=[lesion.pk])
    assistant.post(url, CHEST)
    answer = assistant.post(url, {"region": "front/left/forearm"})
    assert answer.url == reverse("lesion", args=[lesion.pk]) + "#position"
    text = text_of(assistant, "lesion", lesion.pk)
    assert "Placed: Left forearm, front." in text
    assert "Moved to Left forearm, front" in text
    assert "Placed at Left chest" in text
    assert text.index("Moved to") < text.index("Placed at")
    assert text.count(str(personas.assistant)) >= 2
    assert "It is at Left forearm, front" in text_of(assistant, "lesion_place", lesion.pk)


def test_a_patients_lesions_are_numbered_points_of_a_shape_for_each_outcome(assistant, personas):
    outcomes = ("monitor", "urgent", "", "see_doctor", "not_assessable")
    lesions = [LesionFactory(patient=personas.patient) for _ in outcomes]
    for lesion, outcome in zip(lesions, outcomes, strict=True):
        LesionPositionFactory(lesion=lesion)
        if outcome:
            PredictionFactory(image__lesion=lesion, outcome=outcome)
    text = text_of(assistant, "patient", personas.patient.pk)
    for number, (lesion, outcome) in enumerate(zip(lesions, outcomes, strict=True), 1):
        mark = point(text, lesion)
        assert f"<text>{number}</text>" in mark
        assert f'href="#shape-{outcome}"' in mark
        assert f'href="#lesion-{lesion.pk}"' in mark
        assert f'href="#point-{lesion.pk}"' in text
    legend = text[text.index('class="map-legend"') :]
    for word in ("Urgent", "See a doctor", "Monitor", "Not assessable", "No reading"):
        assert word in legend
    assert "Urgent: " not in point(text, lesions[1])
    assert "Left upper back, Urgent" in point(text, lesions[1])


def test_the_last_move_is_what_the_map_shows(assistant, personas):
    lesion = LesionFactory(patient=personas.patient)
    LesionPositionFactory(lesion=lesion)
    LesionPositionFactory(lesion=lesion, view="front", x=0.6, y=0.27, region="chest", side="left")
    assert "translate(132.0 118.8)" in point(
        text_of(assistant, "patient", personas.patient.pk), lesion
    )


def test_numbers_stay_when_the_list_is_searched(assistant, personas):
    LesionFactory(patient=personas.patient, label="Arm")
    knee = LesionFactory(patient=personas.patient, label="Knee")
    LesionPositionFactory(lesion=knee)
    text = text_of(assistant, "patient", personas.patient.pk, q="kne")
    assert "<text>2</text>" in point(text, knee)
    assert ">Arm<" not in text


def test_a_point_whose_row_is_on_another_page_leads_to_the_lesion(assistant, personas):
    lesions = LesionFactory.create_batch(LESIONS_A_PAGE + 1, patient=personas.patient)
    for lesion in lesions:
        LesionPositionFactory(lesion=lesion)
    text = text_of(assistant, "patient", personas.patient.pk)
    hidden = [one for one in lesions if f'id="lesion-{one.pk}"' not in text]
    assert len(hidden) == 1
    assert f'href="{reverse("lesion", args=[hidden[0].pk])}"' in point(text, hidden[0])


def test_who_may_only_look_is_offered_no_place(client, personas):
    lesion = LesionFactory(patient=personas.patient)
    client.force_login(personas.viewer)
    text = text_of(client, "patient", personas.patient.pk)
    assert "data-chooses" not in text
    for page in (text, text_of(client, "lesion", lesion.pk)):
        assert reverse("lesion_place", args=[lesion.pk]) not in page


def test_an_outcome_that_is_withheld_is_not_on_the_map(client, personas):
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    lesion = LesionFactory(patient=personas.patient)
    LesionPositionFactory(lesion=lesion)
    PredictionFactory(image__lesion=lesion, outcome="urgent")
    client.force_login(personas.clinician)
    text = text_of(client, "patient", personas.patient.pk)
    assert 'href="#shape-"' in point(text, lesion)
    assert "rgent" not in text[text.index('class="map-legend"') :]


def _read(patient, count):
    rng = np.random.default_rng(5)
    common = rng.random(1024)
    for n in range(count):
        lesion = LesionFactory(patient=patient, label=f"Spot {n}")
        vector = rng.random(1024) if n == 2 else common + 0.1 * rng.random(1024)
        PredictionMapsFactory(
            prediction=PredictionFactory(image=LesionImageFactory(lesion=lesion)),
            features=vector.astype(np.float16).tobytes(),
        )


def test_the_ugly_duckling_is_told_in_honest_words(client, personas):
    _read(personas.own_patient, 6)
    client.force_login(personas.self_tracker)
    text = text_of(client, "patient", personas.own_patient.pk)
    section = text[text.index('id="unlike"') :]
    assert "Looks unlike your other spots" in section
    assert section.index("3, Spot 2") < section.index("Of 6 spots this one looks least like")
    assert "clears none of the others" in section
    assert "does not say how likely a disease is" in section
    order = section[section.index("unlike-order") :]
    assert order.index("Spot 2") == min(order.index(f"Spot {n}") for n in range(6))


def test_of_four_there_is_no_ugly_duckling(client, personas):
    _read(personas.patient, 4)
    client.force_login(personas.clinician)
    text = text_of(client, "patient", personas.patient.pk)
    assert 'id="unlike"' not in text


@pytest.mark.parametrize("who", ["clinician", "self_tracker"])
def test_a_patient_with_200_lesions_of_20_images_opens_in_thirteen_queries(
    client, personas, who, django_assert_max_num_queries
):
    """Session, user, patient with rights, all lesions with their places, the listed ones' images,
    predictions and reviews, the two of the ugly duckling, memberships, own records, the
    audit log."""
    user = getattr(personas, who)
    patient = personas.own_patient if who == "self_tracker" else personas.patient
    place_and_map(lengthen(patient, user, 200, 20), user)
    client.force_login(user)
    with django_assert_max_num_queries(13):
        response = client.get(reverse("patient", args=[patient.pk]))
    text = response.content.decode()
    assert text.count('class="map-point') == 200
    assert f"Of 200 {'spots' if who == 'self_tracker' else 'lesions'}" in text


def test_placing_costs_the_same_for_many_moves(
    assistant, personas, django_assert_num_queries, django_assert_max_num_queries
):
    lesion = LesionFactory(patient=personas.patient)
    LesionPositionFactory(lesion=lesion)
    for name in ("lesion", "lesion_place"):
        url = reverse(name, args=[lesion.pk])
        with django_assert_max_num_queries(12) as few:
            assistant.get(url)
        LesionPositionFactory.create_batch(5, lesion=lesion)
        with django_assert_num_queries(len(few)):
            assistant.get(url)
