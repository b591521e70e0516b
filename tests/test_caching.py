"""No private response is stored on a disk unless it is revalidated with its ETag."""

from __future__ import annotations

from itertools import product

import pytest
from django.core.cache import cache
from django.urls import reverse

from tests.access import MATRIX
from tests.clients import Browser
from tests.conftest import Everything

pytestmark = pytest.mark.any_database


def is_stored_nowhere(response) -> bool:
    said = set(response.headers.get("Cache-Control", "").replace(" ", "").split(","))
    return "no-store" in said or ({"private", "no-cache"} <= said and "ETag" in response.headers)


# The same bytes for everyone, for as long as the version in the address lasts.
OF_NOBODY = {"model_network"}


def test_no_answer_is_stored(everything: Everything):
    lines = {
        name: row for name, row in MATRIX.items() if "GET" in row.methods and name not in OF_NOBODY
    }
    assert len(lines) > 100
    stored = []
    for (name, row), person in product(lines.items(), (everything.personas.admin, None)):
        cache.clear()
        browser = Browser()
        if person:
            browser.force_login(person)
        response = browser.get(reverse(name, args=row.args(everything.clinic)))
        if response.streaming:
            response.getvalue()
        if not is_stored_nowhere(response):
            stored.append((name, person, response.status_code))
    assert not stored


def test_the_network_may_be_stored_by_anyone(db):
    address = reverse("model_network", args=MATRIX["model_network"].args(None))
    response = Browser().get(address)
    response.getvalue()
    assert response.headers["Cache-Control"].startswith("public, ")
    assert "Set-Cookie" not in response.headers
    assert not response.cookies


def test_what_is_refused_is_not_stored_either(db):
    for address in ("/nothing", "/api/v1/nothing/", "/account/", "/accounts/login/"):
        assert is_stored_nowhere(Browser().get(address)), address
    assert is_stored_nowhere(Browser().post("/account/", HTTP_X_CSRFTOKEN=""))
