"""A patient with very many lesions: each page in at most twelve queries, one of which adds
to the audit log."""

from __future__ import annotations

import pytest
from django.db import connection
from django.urls import reverse

from benchmarks import many_lesions
from benchmarks.pages import TARGETS
from screening.web.views.patients import LESIONS_A_PAGE

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(client):
    assert connection.features.supports_json_field  # SQLite is queried for it once per process
    found = many_lesions.fill(60, 20)
    client.force_login(found.user)
    return found


def test_the_patient_page(client, filled, django_assert_max_num_queries):
    """Session, user with roles, patient with rights, count, lesions, their latest images,
    predictions and reviews; what the body map and the reminders add."""
    with django_assert_max_num_queries(TARGETS["queries"]):
        response = client.get(reverse("patient", args=[filled.patient.pk]))
    assert len(response.context["page"].object_list) == LESIONS_A_PAGE


def test_the_lesion_page(client, filled, django_assert_max_num_queries):
    """Session, user with roles, lesion with rights, images, predictions, reviews, measurements,
    alerts, marks, histologies, positions, the audit log."""
    with django_assert_max_num_queries(TARGETS["queries"]):
        response = client.get(reverse("lesion", args=[filled.lesion.pk]))
    assert len(response.context["images"]) == 20
    assert len(response.context["chart"].rows) == 20 + 1 + 1 + 19 + 1
    assert len(response.context["measures_chart"].rows) == 20


def test_the_lesion_page_of_ones_own_skin(client, filled, django_assert_max_num_queries):
    """As a clinician's, with the records that a person owns, and without histologies."""
    filled.lesion.histologies.all().delete()
    filled.user.memberships.all().delete()
    type(filled.patient).objects.filter(pk=filled.patient.pk).update(clinic=None, owner=filled.user)
    with django_assert_max_num_queries(TARGETS["queries"]):
        response = client.get(reverse("lesion", args=[filled.lesion.pk]))
    assert len(response.context["images"]) == 20


@pytest.mark.parametrize("name", ["home", "worklist"])
def test_the_lists(client, filled, django_assert_max_num_queries, name):
    """Session, user with roles, the order of all, those shown, their latest images, predictions,
    reviews and conclusions."""
    client.get(reverse(name))  # compiles the rules
    with django_assert_max_num_queries(TARGETS["queries"]):
        client.get(reverse(name))


def test_the_image_page(client, filled, django_assert_max_num_queries):
    """Session, user with roles, the image with rights, predictions, reviews, measurements, the
    last arrival, maps, the picture before, histologies."""
    with django_assert_max_num_queries(TARGETS["queries"]):
        client.get(reverse("image", args=[filled.images[0].pk]))


def test_the_comparison_page(client, filled, django_assert_max_num_queries):
    """Session, user with roles, lesion with rights, images, outlines, measurements, the
    comparison, readings with masks, marks."""
    with django_assert_max_num_queries(TARGETS["queries"]):
        response = client.get(reverse("lesion_compare", args=[filled.lesion.pk]))
    assert response.context["comparison"].aligned
    assert len(response.context["rows"]) == 11
    assert all(points for _, _, points in response.context["pair"])
