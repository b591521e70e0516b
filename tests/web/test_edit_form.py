"""Behaviour of forms that edit a record."""

from __future__ import annotations

from django.urls import reverse

from screening.corrections.presenters import in_words
from screening.corrections.undo import may_be_undone, undo
from screening.models import Correction
from screening.records import services as record_services
from screening.web.forms.edit_form import EditForm
from tests.factories import LesionFactory


def test_a_form_that_saw_nothing_takes_no_mark_away_unasked(personas, client):
    lesion = LesionFactory(patient=personas.patient, bleeding=True, itching=False)
    client.force_login(personas.assistant)
    url = reverse("lesion_edit", args=[lesion.pk])
    page = client.post(url, {"label": "Once more", "body_site": "back", "itching": "on"})
    assert page.status_code == 200
    assert "Now: marked. You entered: not marked." in page.text
    lesion.refresh_from_db()
    assert lesion.symptoms == ["bleeding"]
    client.post(url, {"label": "Once more", "bleeding": "on", "itching": "on"})
    lesion.refresh_from_db()
    assert lesion.symptoms == ["bleeding", "itching"]


def test_who_takes_a_mark_away_is_noted(personas):
    lesion = LesionFactory(patient=personas.patient, bleeding=True, itching=True)
    record_services.edit_lesion(
        user=personas.clinician, lesion=lesion, bleeding=False, itching=True
    )
    correction = Correction.objects.get()
    assert (correction.made_by, correction.lesion) == (personas.clinician, lesion)
    assert in_words(correction) == f"{lesion}: bleeding not marked, before marked."
    assert may_be_undone(correction)
    undo(user=personas.assistant, correction=correction)
    lesion.refresh_from_db()
    assert lesion.symptoms == ["bleeding", "itching"]


def test_every_form_that_edits_says_what():
    waiting = [EditForm]
    while waiting:
        found = waiting.pop().__subclasses__()
        for form in found:
            assert not getattr(form.values_of, "__isabstractmethod__", False), form
        waiting += found
