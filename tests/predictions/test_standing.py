"""A warning as people see it: no later picture hides it, and who settled it is shown."""

from __future__ import annotations

import re
from datetime import date
from io import BytesIO

import pytest
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader

from accounts import services
from screening.models import Correction, Lesion, LesionImage, Prediction
from screening.predictions.queue import CLINICAL_PHOTOGRAPH
from screening.records import closing, visits
from screening.records import queries as record_queries
from screening.records import services as record_services
from screening.reviews import services as review_services
from tests import clients
from tests.clients import Program
from tests.factories import (
    AlertFactory,
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    PredictionFactory,
    ReminderFactory,
)

pytestmark = pytest.mark.django_db


def add(lesion, captured_on, outcome, reason="", **fields):
    image = LesionImageFactory(lesion=lesion, captured_on=captured_on, **fields)
    return PredictionFactory(image=image, outcome=outcome, reason=reason).image


@pytest.fixture(params=["own", "clinic"])
def seen(request, personas):
    """A lesion with "see a doctor", then a blurred picture, then an ordinary photograph."""
    own = request.param == "own"
    patient = personas.own_patient if own else personas.patient
    lesion = LesionFactory(patient=patient, label="Left calf")
    LesionPositionFactory(lesion=lesion)
    add(lesion, date(2026, 1, 12), "see_doctor")
    add(lesion, date(2026, 2, 12), "not_assessable", "blurred")
    add(lesion, date(2026, 3, 1), "not_assessable", CLINICAL_PHOTOGRAPH, modality="clinical")
    return (personas.self_tracker if own else personas.clinician), lesion


def page(client, name, *args):
    return " ".join(client.get(reverse(name, args=args)).content.decode().split())


def attention(client):
    """The home page above its list of the newest lesions."""
    above, heading, _ = page(client, "home").partition(">Recent ")
    assert heading
    return above


def test_every_page_still_tells_it(client, seen):
    user, lesion = seen
    client.force_login(user)
    home = page(client, "home")
    assert "Left calf" in home and "See a doctor" in home and "is flagged now" not in home
    listed = page(client, "patient", lesion.patient.pk)
    assert "outcome-see_doctor map-point" in listed or "outcome-see_doctor" in listed
    assert "12 Jan 2026" in listed and "Newest: not assessable" in listed
    assert re.search(r'map-point outcome-see_doctor"', listed)
    of_lesion = page(client, "lesion", lesion.pk)
    assert "within two weeks" in of_lesion
    assert "Newest picture" in of_lesion and "It does not change the earlier warning" in of_lesion
    newest = lesion.images.latest_first().first()
    assert "from the picture of" in page(client, "image", newest.pk)


def test_every_interface_still_tells_it(client, seen):
    user, lesion = seen
    program = Program(services.create_api_key(user=user, name="test")[1])
    told = program.get(f"/api/v1/lesions/{lesion.pk}/").json()
    assert told["standing_outcome"] == "see_doctor" and told["latest_outcome"] == "not_assessable"
    assert told["standing_image"] == str(lesion.images.get(captured_on=date(2026, 1, 12)).pk)
    report = program.get(f"/fhir/R4/DiagnosticReport/{lesion.pk}").json()
    assert "See a doctor" in report["conclusion"]
    client.force_login(user)
    for name, pk in (("lesion_report", lesion.pk), ("patient_report", lesion.patient_id)):
        response = client.get(reverse(name, args=[pk]))
        text = " ".join(p.extract_text() for p in PdfReader(_file(response)).pages)
        assert "See a doctor" in " ".join(text.split())
    if lesion.patient.clinic_id:
        [item] = program.get("/api/v1/worklist/").json()["results"]
        assert item["outcome"] == "see_doctor" and item["reasons"][0] == "flagged"
        assert "from the picture of" in page(client, "worklist_item", lesion.pk)


def _file(response):
    return BytesIO(b"".join(response.streaming_content))


def test_a_visit_settles_it_and_says_so(client, personas):
    lesion = LesionFactory(patient=personas.own_patient, label="Left calf")
    add(lesion, date(2026, 1, 12), "urgent")
    client.force_login(personas.self_tracker)
    shown = page(client, "lesion_visit", lesion.pk)
    assert shown.count('class="form-check-input" type="radio"') == 4
    form = {"visited_on": "2026-01-20", "finding": "harmless", "note": "Looked at closely"}
    form |= clients.shown(lesion)
    assert client.post(reverse("lesion_visit", args=[lesion.pk]), form).status_code == 302
    assert "No spot is flagged" in page(client, "home")
    told = page(client, "lesion", lesion.pk)
    assert "it is harmless (Looked at closely), entered by" in told and "Settled by" in told
    program = Program(services.create_api_key(user=personas.self_tracker, name="test")[1])
    [by] = program.get(f"/api/v1/lesions/{lesion.pk}/").json()["settled_by"]
    assert by["kind"] == "visit" and by["text"].startswith("Doctor's visit on 20 Jan 2026: it is")
    add(lesion, date(2026, 2, 1), "urgent")
    assert "Left calf" in page(client, "home") and "Urgent" in page(client, "lesion", lesion.pk)


def test_the_api_says_what_settled_it_wherever_the_lesion_is_shown(personas):
    user, lesion = personas.clinician, LesionFactory(patient=personas.patient)
    image = add(lesion, date(2026, 1, 12), "urgent")
    program = Program(services.create_api_key(user=user, name="test")[1])
    address, listed = (
        f"/api/v1/lesions/{lesion.pk}/",
        f"/api/v1/lesions/?patient={lesion.patient_id}",
    )
    assert program.get(address).json()["settled_by"] == []
    review = review_services.record_review(
        user=user, image=image, conclusion="nv", management="none"
    )
    seen = program.get(address)
    [by] = seen.json()["settled_by"]
    assert (by["kind"], by["id"], by["by"]) == ("review", str(review.pk), str(user))
    assert "Melanocytic nevus" in by["text"] and by["created"].startswith(f"{timezone.now():%Y}")
    listed = program.get(f"/api/v1/lesions/?patient={lesion.patient_id}").json()["results"]
    assert listed[0]["settled_by"] == [by]
    expanded = program.get(f"/api/v1/images/{image.pk}/?expand=lesion").json()
    assert expanded["lesion"]["settled_by"] == [by]
    changed = program.patch(address, {"notes": "x"}, HTTP_IF_MATCH=seen["ETag"])
    assert changed.json()["settled_by"] == [by]
    histology = review_services.record_histology(
        user=user, lesion=lesion, diagnosis="nv", examined_on=date(2026, 2, 1)
    )
    kinds = [(one["kind"], one["id"]) for one in program.get(address).json()["settled_by"]]
    assert kinds == [("histology", str(histology.pk)), ("review", str(review.pk))]
    scopes = ["lesions:read", "predictions:read", "reviews:read", "visits:read"]
    bound = Program(services.create_api_key(user=user, name="less", scopes=scopes)[1])
    assert bound.get(address).json()["settled_by"] is None


@pytest.mark.parametrize("picture", [False, True])
def test_a_symptom_needs_attention_with_and_without_a_picture(client, personas, picture):
    lesion = record_services.open_lesion(
        user=personas.self_tracker, patient=personas.own_patient, label="Calf", bleeding=True
    )
    if picture:
        add(lesion, date(2026, 1, 12), "not_assessable", CLINICAL_PHOTOGRAPH, modality="clinical")
    client.force_login(personas.self_tracker)
    assert "Calf" in page(client, "home") and "No spot is flagged" not in page(client, "home")
    assert "bleeding: a doctor should look at it" in page(client, "lesion", lesion.pk)
    visits.record_visit(
        user=personas.self_tracker,
        lesion=lesion,
        visited_on=timezone.localdate(),
        finding="watch",
    )
    if not picture:
        assert "No spot is flagged" in page(client, "home")


def test_a_removed_lesion_is_closed_and_can_be_opened_again(client, personas):
    lesion = LesionFactory(patient=personas.patient, label="Left calf")
    earlier, image = (
        add(lesion, date(2026, 1, day), outcome)
        for day, outcome in ((2, "monitor"), (12, "urgent"))
    )
    AlertFactory(lesion=lesion, earlier=earlier, later=image)
    reminder = ReminderFactory(lesion=lesion, due_on=date(2026, 2, 1))
    review_services.record_review(
        user=personas.clinician, image=image, conclusion="mel", management="done"
    )
    client.force_login(personas.clinician)
    assert "Left calf" not in page(client, "worklist")
    assert "Left calf" not in attention(client)
    assert not type(reminder).objects.due(timezone.localdate()).exists()
    assert "no longer followed" in page(client, "lesion", lesion.pk)
    assert client.post(reverse("lesion_reopen", args=[lesion.pk])).status_code == 302
    assert type(reminder).objects.due(timezone.localdate()).exists()
    assert "Left calf" in page(client, "worklist")
    assert [one.kind for one in Correction.objects.filter(lesion=lesion)] == ["reopened", "closed"]


def test_a_new_warning_on_a_closed_lesion_is_told(client, personas):
    lesion = LesionFactory(patient=personas.own_patient, label="Left calf")
    add(lesion, date(2026, 1, 12), "urgent")
    closing.close(user=personas.self_tracker, lesion=lesion, on=date(2026, 1, 20))
    add(lesion, date(2026, 3, 12), "see_doctor")
    client.force_login(personas.self_tracker)
    assert "Left calf" in page(client, "home") and "No spot is flagged" not in page(client, "home")


def test_an_older_version_changes_nothing_that_is_told(client, personas):
    lesion = LesionFactory(patient=personas.own_patient, label="Left calf")
    image = LesionImageFactory(lesion=lesion, captured_on=date(2026, 1, 12))
    PredictionFactory(image=image, outcome="urgent", model_version="2026.11.4")
    PredictionFactory(image=image, outcome="monitor", model_version="2026.11.2")
    client.force_login(personas.self_tracker)
    assert "See a doctor this week" in page(client, "image", image.pk)
    assert "Urgent" in page(client, "home")
    assert [one.counts for one in Prediction.objects.order_by("created")] == [True, False]


def test_a_malignant_histology_needs_attention_until_it_is_removed(client, personas):
    lesion = LesionFactory(patient=personas.patient, label="Left calf")
    add(lesion, date(2026, 1, 12), "urgent")
    client.force_login(personas.clinician)
    found = {"user": personas.clinician, "lesion": lesion, "examined_on": date(2026, 2, 1)}
    review_services.record_histology(diagnosis="mel", **found)
    assert "Left calf" in attention(client)
    review_services.record_histology(diagnosis="mel", excised=True, **found)
    assert "Left calf" not in attention(client)


def test_lists_are_ordered_by_the_rule(personas):
    quiet = LesionFactory(patient=personas.patient)
    add(quiet, date(2026, 3, 1), "monitor")
    hidden = LesionFactory(patient=personas.patient)
    add(hidden, date(2026, 1, 1), "urgent")
    add(hidden, date(2026, 3, 1), "monitor")
    lesions = record_queries.with_latest(Lesion.objects.all(), personas.clinician)
    assert list(record_queries.most_severe_first(lesions)) == [hidden, quiet]
    assert LesionImage.objects.count() == 3


def test_the_suggested_reminder_does_not_contradict_the_warning(client, personas):
    lesion = LesionFactory(patient=personas.patient, label="Left calf")
    newest = add(lesion, date(2026, 3, 1), "monitor")
    user = personas.clinician
    review_services.record_review(user=user, image=newest, conclusion="nv", management="none")
    add(lesion, date(2026, 1, 1), "urgent")
    client.force_login(user)
    told = page(client, "lesion", lesion.pk)
    assert "should see it first" in told and "nothing further is needed" not in told


def test_a_symptom_on_a_removed_lesion_opens_it_again_if_asked(client, personas):
    lesion = LesionFactory(patient=personas.own_patient, label="Left calf")
    closing.close(user=personas.self_tracker, lesion=lesion, on=date(2026, 1, 20))
    client.force_login(personas.self_tracker)
    form = {"label": "Left calf", "bleeding": "on"}
    url = reverse("lesion_edit", args=[lesion.pk])
    refused = client.post(url, form)
    assert refused.status_code == 200 and "grown back in the scar" in refused.text
    lesion.refresh_from_db()
    assert lesion.is_closed and not lesion.bleeding
    assert client.post(url, {**form, "grown_back": "on"}).status_code == 302
    lesion.refresh_from_db()
    assert not lesion.is_closed and lesion.bleeding
    assert "Left calf" in attention(client)


def test_what_a_clinician_wants_removed_stays_on_the_home_page(client, personas):
    lesion = LesionFactory(patient=personas.patient, label="Left calf")
    image = add(lesion, date(2026, 1, 12), "urgent")
    user = personas.clinician
    review_services.record_review(user=user, image=image, conclusion="mel", management="excise")
    client.force_login(user)
    home = attention(client)
    assert "No lesion is flagged" in home and "To be removed" in home and "Left calf" in home
    review_services.record_review(user=user, image=image, conclusion="mel", management="done")
    assert "Left calf" not in attention(client)
    today = timezone.localdate()
    told = page(client, "lesion", lesion.pk)
    assert f"Removed by {today.day} {today:%b %Y}" in told
