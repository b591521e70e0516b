"""The operator's pages: they open, and they change no clinical row."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import RequestFactory

from accounts.admin import ReadOnlyAdmin
from accounts.models import User
from tests.factories import PredictionFactory, ReviewFactory, UserFactory

REGISTERED = [
    (model, one)
    for model, one in admin.site._registry.items()
    if model._meta.app_label in ("accounts", "screening")
]


@pytest.fixture
def operator(db) -> User:
    return User.objects.create_superuser("operator@example.org", "a long enough phrase")


def test_every_clinical_model_is_there_to_look_at():
    assert {model.__name__ for model, _ in REGISTERED} >= {
        "Patient",
        "Lesion",
        "LesionImage",
        "Prediction",
        "Review",
        "AccessLog",
        "Clinic",
        "User",
    }


@pytest.mark.parametrize(("model", "one"), REGISTERED, ids=lambda value: str(value))
def test_nothing_is_added_or_deleted_and_nothing_but_an_account_is_changed(operator, model, one):
    request = RequestFactory().get("/")
    request.user = operator
    assert isinstance(one, ReadOnlyAdmin)
    assert not one.has_add_permission(request)
    assert not one.has_delete_permission(request)
    assert one.has_change_permission(request) == (model is User)


def test_every_page_opens(client, operator):
    review = ReviewFactory(image=PredictionFactory().image)
    client.force_login(operator)
    assert client.get("/admin/").status_code == 200
    for model, _ in REGISTERED:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert client.get(path).status_code == 200, path
        row = model.objects.first()
        if row is not None:
            assert client.get(f"{path}{row.pk}/change/").status_code == 200, path
    page = client.get(f"/admin/screening/lesionimage/{review.image_id}/change/").content.decode()
    assert review.image.file.name not in page


def test_an_operator_closes_an_account_and_changes_no_more_than_that(client, operator):
    user = UserFactory(email="known@example.org")
    client.force_login(operator)
    client.post(
        f"/admin/accounts/user/{user.pk}/change/", {"email": "other@example.org"}, follow=True
    )
    user.refresh_from_db()
    assert (user.is_active, user.email) == (False, "known@example.org")


def test_staff_who_are_no_operators_change_nothing(client, db):
    staff = UserFactory(is_staff=True)
    client.force_login(staff)
    assert client.post(f"/admin/accounts/user/{staff.pk}/change/", {}).status_code == 403
