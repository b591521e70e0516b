"""Clinicians' conclusions and histology on the pages: first, and never overwritten."""

from __future__ import annotations

import re
from datetime import date

import pytest
from django.urls import reverse

from screening.models import Histology, Review
from tests.clients import shown
from tests.factories import (
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PredictionFactory,
    ReviewFactory,
)
from tests.web.test_pages_images import words

pytestmark = pytest.mark.django_db

CHOSEN = {"conclusion": "nv", "management": "monitor"}


@pytest.fixture
def image(personas):
    """Of a person who is a patient of the clinic too; read as urgent."""
    personas.patient.owner = personas.self_tracker
    personas.patient.save()
    lesion = LesionFactory(patient=personas.patient, label="Left arm")
    image = LesionImageFactory(lesion=lesion, captured_on=date(2026, 3, 1))
    PredictionFactory(image=image, outcome="urgent", p_malignant=0.6)
    return image


def seen(client, user, name, *args):
    client.force_login(user)
    response = client.get(reverse(name, args=args))
    assert response.status_code == 200
    return response


def test_the_person_reads_histology_then_conclusion_then_software(client, personas, image):
    ReviewFactory(image=image, reviewer=personas.clinician, conclusion="df", management="excise")
    HistologyFactory(lesion=image.lesion, diagnosis="mel", breslow_mm="0.40")
    places = {
        "image": (image.pk, "Melanoma", "Dermatofibroma", "as the software reads it"),
        "lesion": (image.lesion_id, "Melanoma", "Dermatofibroma", "The software:"),
        "patient": (personas.patient.pk, "Histology: Melanoma", "Dermatofibroma", "The software:"),
        "home": (None, "Histology: Melanoma", "Dermatofibroma", "The software:"),
    }
    for name, (pk, *order) in places.items():
        text = words(seen(client, personas.self_tracker, name, *([pk] if pk else [])))
        found = [text.index(word) for word in order]
        assert found == sorted(found), name


def test_home_tells_the_person_of_a_conclusion_though_nothing_is_flagged_any_more(
    client, personas, image
):
    before = words(seen(client, personas.self_tracker, "home"))
    assert "What your clinicians concluded" not in before
    ReviewFactory(image=image, management="excise", conclusion="mel")
    text = words(seen(client, personas.self_tracker, "home"))
    assert text.index("What your clinicians concluded") < text.index("No spot is flagged")
    assert "excise or biopsy" in text
    assert "What your clinicians concluded" not in words(seen(client, personas.clinician, "home"))


def test_a_conclusion_orders_the_lesions_instead_of_the_reading(client, personas, image):
    for label, outcome, management in (
        ("harmless", "urgent", "none"),
        ("to excise", "monitor", "excise"),
        ("to refer", "monitor", "refer"),
    ):
        other = LesionImageFactory(lesion__patient=personas.patient, lesion__label=label)
        PredictionFactory(image=other, outcome=outcome)
        ReviewFactory(image=other, management=management)
    page = seen(client, personas.clinician, "patient", personas.patient.pk).context["page"]
    labels = [lesion.label for lesion in page]
    assert set(labels[:2]) == {"to excise", "Left arm"}
    assert labels[2:] == ["to refer", "harmless"]


def test_a_superseded_conclusion_stays_struck(client, personas, image):
    client.force_login(personas.clinician)
    url = reverse("image_review", args=[image.pk])
    client.post(url, CHOSEN | shown(image) | {"conclusion": "mel", "note": "Blue veil."})
    client.post(url, CHOSEN | shown(image))
    html = seen(client, personas.self_tracker, "image", image.pk).content.decode()
    assert "<s>Melanoma, monitor</s>" in html
    assert "<s>Blue veil.</s>" in html
    assert html.count("(superseded)") == 1
    assert Review.objects.get(conclusion="nv").supersedes.conclusion == "mel"


def test_a_colleagues_conclusion_is_superseded_only_where_chosen(client, personas, image):
    first = ReviewFactory(image=image, reviewer=personas.admin, conclusion="mel")
    page = seen(client, personas.clinician, "image", image.pk)
    assert f'<option value="{first.pk}">' in page.content.decode()
    typed = CHOSEN | shown(image) | {"supersedes": first.pk}
    client.post(reverse("image_review", args=[image.pk]), typed)
    assert Review.objects.get(conclusion="nv").supersedes == first


def test_a_review_that_does_not_stand_there_cannot_be_named(client, personas, image):
    elsewhere = ReviewFactory(image__lesion__patient=personas.patient)
    ReviewFactory(image=image, reviewer=personas.admin)
    client.force_login(personas.clinician)
    url = reverse("image_review", args=[image.pk])
    answer = client.post(url, CHOSEN | {"supersedes": elsewhere.pk})
    assert "supersedes" in answer.context["form"].errors
    assert not Review.objects.filter(reviewer=personas.clinician).exists()


def test_a_row_that_was_changed_outside_is_not_shown_as_if_signed(client, personas, image):
    ReviewFactory(image=image, conclusion="nv")
    warning = "not as it was signed"
    assert warning not in words(seen(client, personas.self_tracker, "image", image.pk))
    Review.objects.update(conclusion="vasc")
    assert words(seen(client, personas.self_tracker, "image", image.pk)).count(warning) == 2
    assert warning in words(seen(client, personas.self_tracker, "lesion", image.lesion_id))


def test_nothing_chosen_is_said_beside_the_choice(client, personas, image):
    client.force_login(personas.clinician)
    answer = client.post(reverse("image_review", args=[image.pk]), {"note": "Kept."})
    text = answer.content.decode()
    assert "Choose a conclusion." in text
    assert "Choose what is to be done." in text
    assert "Kept.</textarea>" in text


def test_who_only_watches_a_symptom_is_asked_whether_it_was_considered(client, personas, image):
    image.lesion.itching = True
    image.lesion.save()
    client.force_login(personas.clinician)
    address = reverse("image_review", args=[image.pk])
    asked = client.post(address, CHOSEN)
    assert asked.status_code == 200 and not Review.objects.exists()
    assert "This lesion is marked as itching." in words(asked)
    typed = CHOSEN | shown(image) | {"considered": "on", "note": "Dry skin"}
    assert client.post(address, typed).status_code == 302
    assert Review.objects.get().note == "Dry skin\nSymptom considered: itching."
    assert client.post(address, CHOSEN | shown(image) | {"management": "excise"}).status_code == 302
    assert Review.objects.standing().get().note == ""


def test_clinicians_read_the_words_of_the_field(client, personas, image):
    for name, pk in (("image", image.pk), ("lesion", image.lesion_id)):
        for user, clinical in ((personas.clinician, True), (personas.self_tracker, False)):
            text = words(seen(client, user, name, pk))
            assert ("decide on biopsy" in text) == clinical, name
            assert ("Show this spot to a doctor" in text) != clinical, name
    assert "decide on biopsy" in words(
        seen(client, personas.clinician, "worklist_item", image.lesion_id)
    )


def test_what_needs_attention_comes_before_what_was_concluded(client, personas, image):
    other = LesionFactory(patient=personas.patient, label="Right foot")
    review = ReviewFactory(image=LesionImageFactory(lesion=other), management="none")
    text = words(seen(client, personas.self_tracker, "home"))
    order = ["Needs attention", "Left arm", "What your clinicians concluded", str(review.reviewer)]
    assert [text.index(word) for word in order] == sorted(text.index(word) for word in order)


def test_histology_is_entered_and_a_later_one_stands(client, personas, image):
    client.force_login(personas.clinician)
    url = reverse("lesion_histology", args=[image.lesion_id])
    typed = {"diagnosis": "mel", "examined_on": "2026-03-20", "breslow_mm": "0.40"}
    typed |= shown(image.lesion)
    assert client.post(url, typed).url == reverse("lesion", args=[image.lesion_id])
    text = words(seen(client, personas.clinician, "lesion", image.lesion_id))
    assert "Breslow thickness 0.40 mm" in text
    first = image.lesion.histologies.get().pk
    typed = {"diagnosis": "nv", "examined_on": "2026-03-21", "supersedes": first}
    client.post(url, typed | shown(image.lesion))
    page = seen(client, personas.clinician, "lesion", image.lesion_id).content.decode()
    assert '<h2 id="histology-title">Melanocytic nevus (mole)</h2>' in page
    listed = client.get(url).content.decode()
    assert re.search(r"<s>Melanoma</s>", listed)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"diagnosis": "nv", "breslow_mm": "0.4"}, "Only a melanoma has a Breslow thickness."),
        ({"diagnosis": "mel", "examined_on": "2999-01-01"}, "lies in the future"),
        ({"diagnosis": "mel", "examined_on": "soon"}, "Enter a valid date"),
        ({"diagnosis": "mel", "breslow_mm": "-1"}, "greater than or equal to 0.01"),
        ({"diagnosis": "other"}, "Say in the note what it is."),
        ({}, "This field is required"),
    ],
)
def test_histology_that_cannot_be_is_refused_and_kept_on_the_form(
    client, personas, image, typed, message
):
    client.force_login(personas.clinician)
    url = reverse("lesion_histology", args=[image.lesion_id])
    answer = client.post(url, {"examined_on": "2026-03-20", **shown(image.lesion), **typed})
    assert message in words(answer)
    assert not Histology.objects.exists()


def test_only_who_concludes_is_offered_to(client, personas, image):
    url = reverse("lesion_histology", args=[image.lesion_id])
    for user in (personas.assistant, personas.viewer, personas.self_tracker):
        assert url not in seen(client, user, "lesion", image.lesion_id).content.decode()
    admin = MembershipFactory(clinic=personas.clinic, role="admin").user
    assert url in seen(client, admin, "lesion", image.lesion_id).content.decode()
