"""No private response is stored on a disk unless it is revalidated with its ETag."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.urls import reverse

from tests.access import MATRIX, World
from tests.clients import Browser
from tests.test_access_matrix import worlds  # noqa: F401  a fixture


def is_stored_nowhere(response) -> bool:
    said = set(response.headers.get("Cache-Control", "").replace(" ", "").split(","))
    return "no-store" in said or ({"private", "no-cache"} <= said and "ETag" in response.headers)


@pytest.mark.parametrize("name", [name for name, row in MATRIX.items() if "GET" in row.methods])
def test_no_answer_is_stored(name, worlds: list[World], personas):  # noqa: F811
    cache.clear()
    address = reverse(name, args=MATRIX[name].args(worlds[0]))
    browser = Browser()
    for person in (personas.admin, None):
        browser.force_login(person) if person else browser.logout()
        response = browser.get(address)
        if response.streaming:
            response.getvalue()
        assert is_stored_nowhere(response), (person, response.status_code)


def test_what_is_refused_is_not_stored_either(db):
    for address in ("/nothing", "/api/v1/nothing/", "/account/", "/accounts/login/"):
        assert is_stored_nowhere(Browser().get(address)), address
    assert is_stored_nowhere(Browser().post("/account/", HTTP_X_CSRFTOKEN=""))
