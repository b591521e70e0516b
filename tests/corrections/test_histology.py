"""Histology is corrected by a new entry that refers to the old one."""

from __future__ import annotations

from datetime import date

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from screening.models import Histology
from screening.records import queries as record_queries
from screening.reviews import services as review_services
from tests.clients import shown
from tests.factories import HistologyFactory, LesionFactory


@pytest.fixture
def lesion(personas):
    return LesionFactory(patient=personas.patient)


@pytest.fixture
def wrong(lesion):
    return HistologyFactory(lesion=lesion, diagnosis="nv")


def record(user, lesion, **fields):
    said = {"diagnosis": "mel", "examined_on": date(2026, 3, 20), **fields}
    return review_services.record_histology(user=user, lesion=lesion, **said)


def test_the_new_one_stands_and_the_old_one_is_kept(personas, lesion, wrong):
    right = record(personas.clinician, lesion, supersedes=wrong)
    assert list(Histology.objects.standing()) == [right]
    assert record_queries.histologies_of(lesion, personas.viewer) == [right]
    assert record_queries.recorded_histologies(lesion, personas.viewer) == [right, wrong]


def test_without_a_name_both_stand(personas, lesion, wrong):
    another = record(personas.clinician, lesion)
    assert record_queries.histologies_of(lesion, personas.viewer) == [another, wrong]


def test_what_does_not_stand_on_the_lesion_is_not_corrected(personas, lesion, wrong):
    record(personas.clinician, lesion, supersedes=wrong)
    for named in (wrong, HistologyFactory()):
        with pytest.raises(ValidationError, match="no longer stands"):
            record(personas.clinician, lesion, supersedes=named)


def test_the_page_asks_and_shows_the_history(client, personas, lesion, wrong):
    client.force_login(personas.clinician)
    url = reverse("lesion_histology", args=[lesion.pk])
    assert "Does it correct what was recorded?" in client.get(url).text
    typed = {"diagnosis": "mel", "examined_on": "2026-03-20", "supersedes": str(wrong.pk)}
    client.post(url, typed | shown(lesion))
    assert Histology.objects.get(supersedes=wrong).diagnosis == "mel"
    text = client.get(url).text
    assert "<s>Melanocytic nevus (mole)</s>" in text
    assert "(corrected on" in text
    assert "Melanocytic nevus" not in client.get(reverse("lesion", args=[lesion.pk])).text
