"""A record of a person that a clinic follows: what they enter of a visit decides nothing there."""

from __future__ import annotations

from datetime import date

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from accounts import services as account_services
from screening.corrections import services as corrections
from screening.erasure import services as erasure
from screening.models import Lesion
from screening.records import services as record_services
from screening.records import visits
from screening.reviews import services as review_services
from screening.reviews import worklist
from tests.clients import Program
from tests.factories import (
    AlertFactory,
    DoctorVisitFactory,
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
)
from tests.predictions.test_outcomes import standing_in_python

pytestmark = pytest.mark.django_db

DAY = date(2026, 3, 15)


@pytest.fixture
def shared(personas):
    """An urgent lesion on a record of the clinic's and of the self-tracker."""
    patient = PatientFactory(clinic=personas.clinic, owner=personas.self_tracker)
    lesion = LesionFactory(patient=patient, label="Left calf")
    earlier, image = (
        LesionImageFactory(lesion=lesion, captured_on=day) for day in (date(2026, 1, 1), DAY)
    )
    PredictionFactory(image=image, outcome="urgent")
    AlertFactory(lesion=lesion, earlier=earlier, later=image)
    return lesion


def entered(personas, lesion, finding, **more):
    said = {"visited_on": timezone.localdate(), "finding": finding, **more}
    return visits.record_visit(user=personas.self_tracker, lesion=lesion, **said)


@pytest.mark.parametrize("finding", ["harmless", "watch", "biopsy", "removed"])
def test_a_visit_takes_nothing_from_the_clinic(client, personas, shared, finding):
    before = {user: told(client, user, shared) for user in users(personas)}
    assert before[personas.clinician][:2] == (True, True)
    assert {"urgent", "alert"} <= set(before[personas.clinician][2])
    visit = entered(personas, shared, finding)
    if finding == "removed":  # nor by a way around it
        corrections.withdraw(user=personas.self_tracker, record=visit, reason="A slip.")
        corrections.restore(user=personas.self_tracker, record=visit)
    assert not Lesion.objects.get(pk=shared.pk).is_closed
    for user in users(personas):
        standing = standing_in_python(shared, user)
        assert (standing.outcome, standing.visits) == ("urgent", [visit])
        assert not standing.settled and standing.told_too_late is None
        assert told(client, user, shared) == before[user]


def test_a_result_is_awaited_until_the_clinic_has_it(personas, shared):
    entered(personas, shared, "biopsy")
    entered(personas, shared, "harmless")
    assert [standing_in_python(shared, user).awaits for user in users(personas)] == ["result"] * 2
    review_services.record_histology(
        user=personas.clinician, lesion=shared, diagnosis="nv", examined_on=timezone.localdate()
    )
    assert [standing_in_python(shared, user).awaits for user in users(personas)] == ["", ""]


def test_a_result_of_a_record_of_ones_own_is_told_by_a_later_visit(personas):
    lesion = LesionFactory(patient=personas.own_patient)
    visited = [
        entered(personas, lesion, finding) for finding in ("biopsy", "harmless", "biopsy", "watch")
    ]
    me = personas.self_tracker
    assert standing_in_python(lesion, me).awaits == ""
    corrections.withdraw(user=me, record=visited[-1], reason="A slip.")
    assert standing_in_python(lesion, me).awaits == "result"


def users(personas):
    return personas.clinician, personas.self_tracker


def told(client, user, lesion):
    """Where the lesion appears, with what."""
    client.force_login(user)
    home = client.get("/").text.partition("Recent spots")[0]
    waiting = [
        reason
        for reason in worklist.Reason
        if lesion.pk in worklist.Worklist(user, reason=reason).keys
    ]
    return "Left calf" in home, "Urgent" in home, waiting


def test_the_pages_say_who_decides(client, personas, shared):
    client.force_login(personas.self_tracker)
    form = client.get(reverse("lesion_visit", args=[shared.pk])).text
    assert "Your clinic decides when a warning is settled." in form
    entered(personas, shared, "harmless")
    page = reverse("lesion", args=[shared.pk])
    assert "your clinic decides when this is settled" in client.get(page).text
    client.force_login(personas.clinician)
    seen = client.get(page).text
    assert "it is harmless" in seen and "settles nothing: the clinic decides" in seen


def test_the_clinic_settles_it(personas, shared):
    entered(personas, shared, "harmless")
    review_services.record_review(
        user=personas.clinician,
        image=shared.images.latest_first()[0],
        conclusion="nv",
        management="none",
    )
    assert [standing_in_python(shared, user).outcome for user in users(personas)] == ["", ""]


def test_a_symptom_is_not_settled_by_a_visit_either(personas):
    patient = PatientFactory(clinic=personas.clinic, owner=personas.self_tracker)
    lesion = LesionFactory(patient=patient, bleeding=True)
    DoctorVisitFactory(lesion=lesion, visited_on=timezone.localdate())
    for user in users(personas):
        assert standing_in_python(lesion, user).outcome == "see_doctor"


def test_on_a_record_of_ones_own_a_visit_settles(personas):
    lesion = LesionFactory(patient=personas.own_patient)
    PredictionFactory(image__lesion=lesion, outcome="urgent")
    entered(personas, lesion, "harmless")
    assert standing_in_python(lesion, personas.self_tracker).outcome == ""


@pytest.mark.parametrize(("by", "word"), [("self_tracker", "spot"), ("assistant", "lesion")])
def test_a_symptom_stays_until_a_clinician_concludes_or_takes_it_away(client, personas, by, word):
    user = getattr(personas, by)
    patient = PatientFactory(clinic=personas.clinic, owner=personas.self_tracker)
    lesion = LesionFactory(patient=patient, label="Left calf", bleeding=True, itching=True)
    image = LesionImageFactory(lesion=lesion, captured_on=timezone.localdate())
    client.force_login(user)
    url = reverse("lesion_edit", args=[lesion.pk])
    form = client.get(url)
    said = f"counts until a clinician has concluded on the {word}"
    assert said in form.text
    without = {
        "label": "Left calf",
        "itching": "on",
        "opened": form.context["form"]["opened"].value(),
    }
    assert f"this {said}" in client.post(url, without).text
    program = Program(account_services.create_api_key(user=user, name="test")[1])
    refused = program.patch(f"/api/v1/lesions/{lesion.pk}/", {"bleeding": False})
    assert refused.status_code == 400 and refused.json()["errors"][0]["pointer"] == "/bleeding"
    assert marked(lesion) == ["bleeding", "itching"]
    assert program.patch(f"/api/v1/lesions/{lesion.pk}/", {"notes": "Gone"}).status_code == 200
    record_services.edit_lesion(user=personas.clinician, lesion=lesion, itching=False)
    assert marked(lesion) == ["bleeding"]
    review_services.record_review(
        user=personas.clinician, image=image, conclusion="nv", management="none"
    )
    assert said not in client.get(url).text
    record_services.edit_lesion(user=user, lesion=lesion, bleeding=False)
    assert marked(lesion) == []
    record_services.edit_lesion(user=user, lesion=lesion, bleeding=True)
    with pytest.raises(ValidationError, match="counts until"):
        record_services.edit_lesion(user=user, lesion=lesion, bleeding=False)


def marked(lesion):
    return Lesion.objects.get(pk=lesion.pk).symptoms


def test_what_a_visit_could_not_settle_it_does_not_settle_when_the_clinic_has_left(
    client, personas, shared, settings
):
    settings.RETENTION_YEARS = 0
    me, patient = personas.self_tracker, shared.patient
    before = entered(personas, shared, "removed")
    asked = erasure.ask_for_record(user=personas.admin, patient=patient, ground="person_asks")
    asked = erasure.confirm(user=personas.clinician, erasure=asked)
    shared = Lesion.objects.get(pk=shared.pk)
    standing = standing_in_python(shared, me)
    assert (standing.outcome, standing.visits) == ("urgent", [before])
    assert standing.told_too_late is None and not shared.is_closed
    client.force_login(me)
    page = reverse("lesion", args=[shared.pk])
    assert "A clinic followed this record then" in client.get(page).text
    corrections.withdraw(user=me, record=before, reason="A slip.")
    corrections.restore(user=me, record=before)
    assert not Lesion.objects.get(pk=shared.pk).is_closed

    entered(personas, shared, "removed")  # on their own record
    shared = Lesion.objects.get(pk=shared.pk)
    assert standing_in_python(shared, me).outcome == "" and shared.is_closed
    erasure.undo(user=personas.admin, erasure=asked)
    shared = Lesion.objects.get(pk=shared.pk)
    assert standing_in_python(shared, me).outcome == "urgent" and not shared.is_closed
    assert told(client, personas.clinician, shared)[:2] == (True, True)
