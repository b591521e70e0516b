"""The operator's pages: they open, and they change no clinical rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import RequestFactory
from django.utils import timezone
from oauth2_provider.models import AccessToken

from accounts.admin import ReadOnlyAdmin
from accounts.models import Agreement, UsedAssertion, User
from screening.models import (
    DataKey,
    ExternalIdentifier,
    Heartbeat,
    IdempotentRequest,
    Opinion,
    ReviewSeal,
    Setback,
    ShareOpening,
    Trace,
)
from screening.predictions import adoption
from screening.privacy import services as audit
from tests.clients import Browser
from tests.factories import (
    BatchRowFactory,
    DeliveryAttemptFactory,
    EmailAddressFactory,
    UserFactory,
)
from tests.test_access_matrix import world_of

REGISTERED = list(admin.site._registry.items())


@pytest.fixture
def operator(db) -> User:
    return User.objects.create_superuser("operator@example.org", "a long enough phrase")


def test_every_model_of_ours_is_there_to_look_at():
    ours = {*apps.get_app_config("accounts").get_models()}
    ours |= {*apps.get_app_config("screening").get_models()}
    shown = {model for model, _ in REGISTERED}
    within = {inline.model for _, one in REGISTERED for inline in one.inlines}
    assert ours <= shown | within


@pytest.mark.parametrize(("model", "one"), REGISTERED, ids=lambda value: str(value))
def test_nothing_is_added_or_deleted_and_nothing_but_an_account_is_changed(operator, model, one):
    request = RequestFactory().get("/")
    request.user = operator
    assert isinstance(one, ReadOnlyAdmin)
    assert not one.has_add_permission(request)
    assert not one.has_delete_permission(request)
    assert one.has_change_permission(request) == (model is User)


@pytest.fixture
def rows(personas) -> None:
    """One row of every model in the admin."""
    world = world_of(personas, "clinician")
    DeliveryAttemptFactory(delivery=world.delivery)
    BatchRowFactory(batch=world.batch, picture="name-of-a-person.jpg", source={"note": "SECRET"})
    later = timezone.now() + timedelta(hours=1)
    IdempotentRequest.objects.create(key="a", locked_until=later, body=b"SECRET")
    adoption.adopt_own()
    Heartbeat.objects.create(name="worker@a")
    Setback.objects.create(image=world.image)
    AccessToken.objects.create(application=world.application, token="SECRET", expires=later)
    UsedAssertion.objects.create(
        application=world.application, jti_sha256="0" * 64, expires_at=later
    )
    ExternalIdentifier.objects.create(
        clinic=personas.clinic, kind="patient", patient=world.patient, system="a", value="b"
    )
    Agreement.objects.create(user=personas.viewer, version="0123456789ab")
    ShareOpening.objects.create(share=world.share, what="page")
    Opinion.objects.create(share=world.share, name="Dr", text="Harmless.")
    Trace.objects.create(digest="0" * 64, kind="row")
    ReviewSeal.objects.create(number=9, signature="0", held=True, seal="0")
    client = Browser()
    client.force_login(personas.viewer)
    client.get(f"/lesions/{world.lesion.pk}/")
    audit.chain_all()
    audit.close_segment(before=timezone.now() + timedelta(days=1))
    client.get(f"/lesions/{world.lesion.pk}/")
    audit.chain_all()
    client.get(f"/lesions/{world.lesion.pk}/")


HIDDEN = (
    "code_hash",
    "password",
    "secret_sha256",
    "client_secret",
    "token",
    "file",
    "thumbnail",
    "screen",
    "archive",
)
UNUSED = {"Grant", "RefreshToken", "IDToken"}
"""Models of OAuth flows that SkinCheck does not offer."""


def test_every_page_opens_and_none_shows_a_secret_or_a_file(client, operator, rows, settings):
    settings.ENCRYPTION_KEYS = ["ab" * 32]
    EmailAddressFactory(user=operator)
    DataKey.of(None)
    client.force_login(operator)
    assert client.get("/admin/").status_code == 200
    for model, one in admin.site._registry.items():
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert client.get(f"{path}?q=a" if one.search_fields else path).status_code == 200, path
        row = model._default_manager.first()
        assert (row is None) == (model.__name__ in UNUSED), model
        if row is None:
            continue
        page = client.get(f"{path}{row.pk}/change/")
        assert page.status_code == 200, path
        hidden = {str(getattr(row, name, "")) for name in HIDDEN} - {""}
        for word in ("SECRET", "name-of-a-person", *hidden):
            assert word not in page.text, path


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
