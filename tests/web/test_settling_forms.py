"""Forms that settle warnings ask before they settle what arrived while they were open."""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse
from django.utils import timezone

from ml import reader
from screening.models import DoctorVisit, Histology, Review
from screening.predictions.outcomes import NOTHING
from screening.records import services as record_services
from tests.clients import shown
from tests.factories import (
    AlertFactory,
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    ReviewFactory,
)
from tests.predictions.test_outcomes import standing_rank

pytestmark = pytest.mark.django_db

REVIEW = {"conclusion": "nv", "management": "refer", "note": "A long note."}
FORMS = {
    "image_review": ("image", REVIEW, Review),
    "worklist_item": ("worklist_item", REVIEW, Review),
    "lesion_histology": (
        "lesion_histology",
        {"diagnosis": "nv", "examined_on": "2026-03-20", "note": "A long note."},
        Histology,
    ),
    "lesion_visit": (
        "lesion_visit",
        {"visited_on": "2026-03-20", "finding": "harmless", "note": "A long note."},
        DoctorVisit,
    ),
}


@pytest.fixture
def lesion(request, personas):
    """The clinic's; for the form of a visit, the self-tracker's own."""
    name = request.node.callspec.params.get("form") if hasattr(request.node, "callspec") else ""
    is_own = name == "lesion_visit"
    return LesionFactory(patient=personas.own_patient if is_own else personas.patient)


@pytest.fixture
def user(lesion, personas):
    """Who fills the form in."""
    return lesion.patient.owner or personas.clinician


def read(lesion, day, outcome):
    image = LesionImageFactory(lesion=lesion, captured_on=day)
    PredictionFactory(image=image, outcome=outcome, model_version=reader.DEFAULT_VERSION)
    return image


def inputs(page):
    """The form's hidden fields."""
    form = page.context["form"]
    return {name: form[name].value() for name in ("shown_at", "shown_image")}


@pytest.fixture(params=FORMS)
def form(request, client, user, lesion):
    """A form that is open: where it is sent, what it carries, and the rows that it makes."""
    image = read(lesion, date(2026, 3, 1), "monitor")
    name = request.param
    client.force_login(user)
    pk = image.pk if name == "image_review" else lesion.pk
    page, typed, model = FORMS[name]
    opened = client.get(reverse(page, args=[pk]))
    assert f'value="{inputs(opened)["shown_at"]}"' in opened.text
    return reverse(name, args=[pk]), typed | inputs(opened), model


@pytest.mark.parametrize(
    "moment",
    [
        "",
        "yesterday",
        "2026-02-30T00:00:00+00:00",
        "2026-03-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_a_form_that_does_not_say_what_it_showed_asks(client, form, moment):
    url, typed, model = form
    asked = client.post(url, typed | {"shown_at": moment})
    assert asked.status_code == 200 and asked.context["form"].came
    assert not model.objects.exists()
    assert client.post(url, typed | inputs(asked)).status_code == 302


def test_what_was_there_is_settled_at_once(client, form):
    url, typed, model = form
    assert client.post(url, typed).status_code == 302
    assert model.objects.count() == 1


def test_a_picture_that_came_meanwhile_is_shown_and_asked_about(client, user, lesion, form):
    url, typed, model = form
    unseen = read(lesion, date(2026, 1, 1), "urgent")
    asked = client.post(url, typed)
    assert asked.status_code == 200 and not model.objects.exists()
    assert "Nothing is saved yet" in asked.text and "A long note.</textarea>" in asked.text
    assert reverse("image", args=[unseen.pk]) in asked.text and "1 Jan 2026" in asked.text
    assert 'outcome-urgent">' in asked.text
    assert standing_rank(lesion.pk, user) == 0
    assert client.post(url, typed | inputs(asked)).status_code == 302
    assert standing_rank(lesion.pk, user) == NOTHING


def test_a_form_that_does_not_say_what_it_showed_is_asked(client, lesion, form):
    url, typed, model = form
    asked = client.post(url, typed | {"shown_at": "yesterday"})
    assert asked.status_code == 200 and not model.objects.exists()
    assert client.post(url, typed | inputs(asked)).status_code == 302


def test_a_symptom_a_worse_reading_and_an_alert_are_asked_about(client, user, lesion, form):
    url, typed, model = form
    image = lesion.images.get()
    PredictionFactory(image=image, outcome="urgent", model_version=reader.DEFAULT_VERSION)
    record_services.edit_lesion(user=user, lesion=lesion, bleeding=True)
    earlier = read(lesion, date(2026, 1, 1), "monitor")
    AlertFactory(lesion=lesion, earlier=earlier, later=image, rule="growth")
    asked = client.post(url, typed).text
    assert not model.objects.exists()
    assert "is now read as more severe" in asked
    assert "It is marked as bleeding." in asked
    assert "Alert: grew fast." in asked


def test_a_milder_reading_is_not_asked_about(client, lesion, form):
    url, typed, model = form
    image = lesion.images.get()
    PredictionFactory(image=image, outcome="not_assessable", model_version=reader.DEFAULT_VERSION)
    assert client.post(url, typed).status_code == 302
    assert model.objects.count() == 1


def test_what_a_colleague_concluded_meanwhile_is_asked_about(client, personas, lesion, form):
    url, typed, _ = form
    ReviewFactory(
        image=lesion.images.get(),
        reviewer=personas.admin,
        management="excise",
        created=timezone.now(),
    )
    assert "excise or biopsy: signed by" in client.post(url, typed).text


def test_the_worklist_concludes_on_the_picture_that_it_showed(client, personas, lesion):
    """Not on the one that is the latest when the form is sent."""
    client.force_login(personas.clinician)
    earlier = read(lesion, date(2026, 1, 1), "urgent")
    latest = read(lesion, date(2026, 3, 1), "monitor")
    url = reverse("worklist_item", args=[lesion.pk])
    typed = REVIEW | inputs(client.get(url))
    latest.withdrawn_at, latest.withdrawn_by = timezone.now(), personas.clinician
    latest.withdrawn_because = "Another spot"
    latest.save()
    asked = client.post(url, typed)
    assert "now shows another picture" in asked.text and not Review.objects.exists()
    assert client.post(url, typed | inputs(asked)).status_code == 302
    assert Review.objects.get().image == earlier


def test_who_concludes_first_is_not_told_of_a_colleague(client, personas, lesion):
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    client.force_login(personas.clinician)
    image = read(lesion, date(2026, 3, 1), "monitor")
    url = reverse("worklist_item", args=[lesion.pk])
    before = inputs(client.get(url))
    ReviewFactory(image=image, reviewer=personas.admin, management="excise")
    PredictionFactory(image=image, outcome="urgent", model_version=reader.DEFAULT_VERSION)
    assert inputs(client.get(url)) == before
    assert client.post(url, REVIEW | before).status_code == 302


def test_every_form_that_makes_an_act_says_what_it_showed():
    """A new one has to stand in ``FORMS``."""
    from screening.web.forms.settling import EntryForm, SettlingForm

    forms = {form.__name__ for base in (SettlingForm, EntryForm) for form in base.__subclasses__()}
    assert forms - {"EntryForm"} == {"ReviewForm", "HistologyForm", "VisitForm"}
    assert shown is not None
