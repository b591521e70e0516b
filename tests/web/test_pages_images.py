"""The result page: what it shows and withholds, and how it waits, fails and is concluded."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from ml import reader
from ml.diagnoses import Diagnosis
from screening.formatting import clinical
from screening.models import Prediction, Review
from screening.predictions import advice
from screening.records import closing
from tests.clients import shown
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    MeasurementFactory,
    PredictionFactory,
    PredictionMapsFactory,
    ReviewFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def image(personas):
    return LesionImageFactory(lesion=LesionFactory(patient=personas.patient))


def read(image, outcome="monitor", **fields):
    return PredictionFactory(
        image=image, outcome=outcome, model_version=reader.DEFAULT_VERSION, **fields
    )


def result(client, user, image):
    client.force_login(user)
    response = client.get(reverse("image", args=[image.pk]))
    assert response.status_code == 200
    return response


def words(response):
    """The visible text with collapsed white space, so that line breaks of a template do not
    matter.
    """
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


@pytest.mark.parametrize("outcome", ["urgent", "see_doctor", "monitor"])
def test_an_outcome_is_told_with_icon_word_and_text(client, personas, image, outcome):
    reading = read(image, outcome)
    response = result(client, personas.viewer, image)
    told = advice.advise(reading)
    text = words(response)
    assert told.title in text
    for paragraph in told.text:
        assert clinical(paragraph) in text
    html = response.content.decode()
    assert reading.get_outcome_display() in text
    assert f"advice-{outcome}" in html
    assert f'href="{reverse("model_version", args=[reader.DEFAULT_VERSION])}"' in html


def apart(response):
    """The visible text of what is seen at once, and of what is folded away."""
    html = response.content.decode()
    folded = " ".join(re.findall(r"<details.*?</details>", html, flags=re.DOTALL))
    seen = re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)
    texts = [" ".join(unescape(re.sub(r"<[^>]+>", " ", one)).split()) for one in (seen, folded)]
    return texts[0], texts[1]


def test_the_top_three_are_seen_at_once_and_all_on_demand(client, personas, image):
    shares = dict.fromkeys(("akiec", "bcc", "df", "vasc"), 0.001) | {
        "mel": 0.004,
        "nv": 0.992,
        "bkl": 0.0,
    }
    read(image, probabilities=shares)
    seen, folded = apart(result(client, personas.viewer, image))
    assert "Melanocytic nevus (a mole) >99 %" in seen
    assert "Melanoma (a dangerous skin cancer) <1 %" in seen
    assert len({one for one in Diagnosis if f"{one.about.title} (" in seen}) == 3
    for one in Diagnosis:
        assert f"{one.about.title} ({one.about.gloss})" in folded


@pytest.mark.parametrize("outcome", ["urgent", "see_doctor", "monitor"])
def test_one_number_stands_with_the_outcome(client, personas, image, outcome):
    shares = dict.fromkeys(map(str, Diagnosis), 0.0) | {"mel": 0.3, "bcc": 0.06, "nv": 0.64}
    read(image, outcome, probabilities=shares)
    seen, _ = apart(result(client, personas.viewer, image))
    assert "Cancer or its precursor: 36 %" in seen


@pytest.mark.parametrize("outcome", ["urgent", "see_doctor"])
def test_false_alarms_are_told_beside_a_flag(client, personas, image, outcome):
    told = advice.advise(read(image, outcome))
    seen, _ = apart(result(client, personas.viewer, image))
    assert clinical(told.false_alarms) in seen
    assert "of 100 harmless spots" in told.false_alarms


def test_balanced_reading_is_told_where_it_differs(client, personas, image):
    balanced = dict.fromkeys(map(str, Diagnosis), 0.1) | {"df": 0.4}
    read(image, balanced_probabilities=balanced)
    _, folded = apart(result(client, personas.viewer, image))
    assert "Dermatofibroma (a firm knot in the skin) 1 % 40 %" in folded
    assert "another would come first: Dermatofibroma" in folded


def test_one_reading_where_both_agree(client, personas, image):
    read(image)
    assert "would come first" not in words(result(client, personas.viewer, image))


@pytest.mark.parametrize("reason", ["blurred", "not_dermatoscopic", "clinical_photograph"])
def test_no_class_stands_on_the_page_of_what_was_not_assessed(client, personas, image, reason):
    read(image, "not_assessable", reason=reason)
    response = result(client, personas.viewer, image)
    text = words(response).lower()
    for one in Diagnosis:
        assert one.about.title.lower() not in text
        assert one.about.gloss not in text
    assert "not an all-clear" in text
    assert "%" not in text.replace("100 %", "")


def test_a_clinicians_conclusion_stands_above_the_models(client, personas, image):
    read(image, "urgent")
    ReviewFactory(image=image, reviewer=personas.clinician, conclusion="bkl", management="none")
    html = result(client, personas.viewer, image).content.decode()
    assert html.index("conclusion-title") < html.index("advice-title")


def test_a_conclusion_is_recorded_by_those_who_may(client, personas, image):
    url = reverse("image_review", args=[image.pk])
    form = {"conclusion": "mel", "management": "excise", "note": "Blue veil"} | shown(image)
    client.force_login(personas.clinician)
    assert client.post(url, form).status_code == 302
    review = Review.objects.get()
    assert (review.conclusion, review.reviewer) == ("mel", personas.clinician)
    for user in (personas.assistant, personas.viewer):
        client.force_login(user)
        assert client.post(url, form).status_code == 403
        assert url not in result(client, user, image).content.decode()
    client.force_login(personas.colleague)
    assert client.post(url, form).status_code == 404
    assert Review.objects.count() == 1


def test_a_refused_conclusion_keeps_what_was_typed(client, personas, image):
    client.force_login(personas.clinician)
    url = reverse("image_review", args=[image.pk])
    response = client.post(
        url, {"conclusion": "other", "management": "refer", "note": "", **shown(image)}
    )
    assert "Say in the note what it is." in words(response)
    assert re.search(r'value="refer"[^>]* checked', response.content.decode())
    assert not Review.objects.exists()


def test_a_waiting_page_asks_again_until_it_is_read(client, personas, image):
    reading = PredictionFactory(queued=True, image=image)
    html = result(client, personas.viewer, image).content.decode()
    poll = re.search(r'hx-get="([^"]+)"', html)[1].replace("&amp;", "&")
    assert '<noscript><meta http-equiv="refresh"' in html
    assert client.get(poll).status_code == 204
    Prediction.objects.filter(pk=reading.pk).delete()
    read(image, "urgent")
    finished = client.get(poll)
    assert finished.status_code == 200
    assert "advice-urgent" in finished.content.decode()
    assert "hx-get" not in finished.content.decode()
    assert "refresh" not in result(client, personas.viewer, image).content.decode()


def test_a_failure_says_why_and_can_be_tried_again(client, personas, image):
    failed = PredictionFactory(failed=True, image=image)
    assert failed.failure in words(result(client, personas.assistant, image))
    again = reverse("image_read", args=[image.pk])
    assert again not in result(client, personas.viewer, image).content.decode()
    assert client.post(again).status_code == 403
    client.force_login(personas.assistant)
    assert client.post(again).url == reverse("image", args=[image.pk])
    assert image.predictions.active().count() == 1


def test_an_earlier_reading_stays_in_view_when_the_next_one_fails(client, personas, image):
    version = read(image, "urgent").model_version
    PredictionFactory(failed=True, image=image, model_version=version)
    html = result(client, personas.viewer, image).content.decode()
    assert "advice-urgent" in html
    assert "reading-failed" in html
    assert "which still counts" in html


def test_what_is_drawn_is_marked(client, personas):
    lesion = LesionFactory(patient=personas.patient)
    drawn = LesionImageFactory(lesion=lesion, is_synthetic=True)
    skin = LesionImageFactory(lesion=lesion, is_synthetic=False)
    mark = "Drawn by SkinCheck, not skin"
    assert mark in words(result(client, personas.viewer, drawn))
    assert mark not in words(result(client, personas.viewer, skin))


@pytest.mark.parametrize("outcome", ["urgent", "see_doctor", "monitor"])
def test_outline_and_evidence_can_be_laid_over_the_picture(client, personas, image, outcome):
    PredictionMapsFactory(prediction=read(image, outcome))
    html = result(client, personas.viewer, image).content.decode()
    assert html.count("<polygon") == 2  # a light line on a dark one
    assert re.search(r'aria-pressed="true" data-switch="outline"', html)
    assert re.search(r'aria-pressed="false" data-switch="evidence"', html)
    assert re.search(r"<option value=\"(\w+)\"", html)[1] == "nv"  # the most likely first
    assert "Evidence against a diagnosis is not shown." in html
    assert " style=" not in html


def test_what_is_laid_over_the_picture_comes_with_the_reading(client, personas, image):
    PredictionFactory(queued=True, image=image)
    html = result(client, personas.viewer, image).content.decode()
    poll = re.search(r'hx-get="([^"]+)"', html)[1].replace("&amp;", "&")
    assert "<polygon" not in html
    Prediction.objects.all().delete()
    PredictionMapsFactory(prediction=read(image))
    html = client.get(poll).content.decode()
    assert 'id="overlays" class="overlays js-only" hx-swap-oob="true"' in html
    assert "<polygon" in html


def test_nothing_is_laid_over_what_got_no_class(client, personas, image):
    PredictionMapsFactory(prediction=read(image, "not_assessable", reason="blurred"))
    html = result(client, personas.viewer, image).content.decode()
    assert 'id="overlays"' in html
    assert "<polygon" not in html
    assert "evidence" not in words(result(client, personas.viewer, image)).lower()


def test_an_older_reading_has_nothing_to_lay_over(client, personas, image):
    read(image)
    assert "<polygon" not in result(client, personas.viewer, image).content.decode()


def test_strangers_find_nothing(client, personas, image):
    for user in (personas.stranger, personas.colleague):
        client.force_login(user)
        assert client.get(reverse("image", args=[image.pk])).status_code == 404
        assert client.get(reverse("image_status", args=[image.pk])).status_code == 404
        assert client.post(reverse("image_read", args=[image.pk])).status_code == 404


@pytest.mark.parametrize("name", ["image_read", "image_review"])
def test_reading_and_concluding_are_posts(client, personas, image, name):
    client.force_login(personas.clinician)
    assert client.get(reverse(name, args=[image.pk])).status_code == 405


def test_the_result_page_costs_the_same_after_many_readings(
    client, personas, image, django_assert_num_queries, django_assert_max_num_queries
):
    PredictionMapsFactory(prediction=read(image))
    client.force_login(personas.clinician)
    url = reverse("image", args=[image.pk])
    with django_assert_max_num_queries(14) as few:  # one is the audit log's entry
        client.get(url)
    for _ in range(10):
        PredictionMapsFactory(prediction=read(image))
        ReviewFactory(image=image, reviewer=personas.clinician)
    with django_assert_num_queries(len(few)):
        client.get(url)


def test_measures_are_asked_for_until_they_are_there(client, personas, image):
    def waits() -> bool:
        page = result(client, personas.viewer, image).content.decode()
        return 'hx-select="#measures"' in page

    reading = read(image)
    assert waits()
    measurement = MeasurementFactory(image=image, prediction=reading)
    assert not waits()
    measurement.delete()
    image.predictions.update(finished_at=timezone.now() - timedelta(minutes=3))
    assert not waits()


def test_no_measures_are_waited_for_where_no_lesion_was_found(client, personas, image):
    read(image, "not_assessable", reason="blurred")
    assert b'hx-select="#measures"' not in result(client, personas.viewer, image).content


def test_a_picture_from_before_the_removal_says_that_it_raises_no_warning(client, personas, image):
    read(image, "urgent")
    told = "raises no warning. If it has grown back"
    assert told not in words(result(client, personas.viewer, image))
    closing.close(user=personas.clinician, lesion=image.lesion, on=image.captured_on)
    assert told in words(result(client, personas.viewer, image))
