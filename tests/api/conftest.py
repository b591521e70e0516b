"""Clients with a key, and the standard way to send a picture."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts import services
from accounts.models import User
from screening.models import Lesion
from tests.clients import Program
from tests.factories import LesionFactory, picture


@pytest.fixture(autouse=True)
def _no_throttle_from_another_test() -> None:
    cache.clear()


@pytest.fixture
def client_of(db: None) -> Callable[[User], Program]:
    """An API client with its own key."""

    def build(user: User) -> Program:
        _, secret = services.create_api_key(user=user, name="test")
        return Program(secret)

    return build


@pytest.fixture
def clinician(personas, client_of) -> Program:
    return client_of(personas.clinician)


@pytest.fixture
def lesion(personas) -> Lesion:
    return LesionFactory(patient=personas.patient)


def upload(client: Program, lesion: object, data: bytes | None = None, **fields: object):
    """POST a picture, a synthetic one unless ``data`` has another."""
    content = picture() if data is None else data
    file = SimpleUploadedFile("mole.jpg", content, "image/jpeg")
    body = {"lesion": str(getattr(lesion, "pk", lesion)), "file": file, **fields}
    return client.post("/api/v1/images/", body, format="multipart")


def pointers(response) -> dict[str, str]:
    """The errors of a problem, by location."""
    assert response["Content-Type"] == "application/problem+json", response.content
    errors = response.json()["errors"]
    return {error.get("pointer", error.get("parameter")): error["detail"] for error in errors}
