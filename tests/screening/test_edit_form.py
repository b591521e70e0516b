"""What a form does that edits a record."""

from __future__ import annotations

from django.urls import reverse

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
