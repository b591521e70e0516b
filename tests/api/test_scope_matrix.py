"""Scope x role x object for every operation of the OpenAPI document, including new endpoints.

The URL and the body of each operation come from ``tests/access.py``, the scope from the document. A
caller lacks the scope, holds it alone, or holds all others.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
from django.test.client import MULTIPART_CONTENT
from django.urls import resolve, reverse

from accounts import scopes, services
from screening.api import openapi
from tests.access import MATRIX, OUTSIDERS, Answer, Sent, World
from tests.clients import Program
from tests.conftest import Everything
from tests.test_access_matrix import verdict
from tests.transactions import rolled_back

# Who sees what: test_access_matrix.py, on every database. Here, what a key opens.
pytestmark = pytest.mark.any_database

PERSONAS = ("admin", "clinician", "assistant", "viewer", *OUTSIDERS)
EXAMPLE = "019ab0d2-5c8e-7d10-9f3a-5d0f6b1c2a10"


def operations() -> list[tuple[str, str, str]]:
    """(method, URL name, scope) of every documented operation."""
    found = []
    for path, methods in openapi.document()["paths"].items():
        match = resolve(re.sub(r"\{\w+\}", EXAMPLE, path))
        for method, operation in methods.items():
            (scope,) = next(one["apiKey"] for one in operation["security"] if "apiKey" in one)
            found.append((method.upper(), match.view_name, scope))
    return found


OPERATIONS = operations()


@pytest.fixture
def keys(everything: Everything) -> Any:
    """A client of a persona with a key that holds ``held``; created once per pair."""
    made: dict[tuple[str, tuple[str, ...]], Program] = {}

    def client(persona: str, held: tuple[str, ...]) -> Program:
        if (persona, held) not in made:
            user = getattr(everything.personas, persona)
            _, secret = services.create_api_key(user=user, name="test", scopes=held)
            made[persona, held] = Program(secret)
        return made[persona, held]

    return client


def ask(client: Program, method: str, url: str, sent: Sent, world: World) -> Any:
    with rolled_back():
        form = "multipart" if sent.content_type == MULTIPART_CONTENT else "json"
        body = None if method == "GET" else sent.body(world)
        response = getattr(client, method.lower())(url, body, format=form)
        if response.streaming:
            response.getvalue()
    return response


def test_the_document_has_the_whole_api():
    described = {(method, name) for method, name, _ in OPERATIONS}
    for name, row in MATRIX.items():
        if name.startswith("api:") and name not in ("api:schema", "api:docs", "api:redoc"):
            if name == "api:nothing":
                continue
            assert {(m, name) for m in row.methods if m != "HEAD"} <= described, name


@pytest.mark.parametrize(("method", "name", "scope"), OPERATIONS)
def test_matrix(method, name, scope, everything, keys):
    row, worlds = MATRIX[name], [everything.clinic, everything.own]
    sent = row.methods[method]
    others = tuple(one for one in scopes.known() if one != scope)
    assert scope in scopes.known()
    wrong = []
    for world, persona in product(worlds[:1] if row.clinic_only else worlds, PERSONAS):
        url = reverse(name, args=row.args(world))
        lacking = ask(keys(persona, others), method, url, sent, world)
        if lacking.status_code != 403 or lacking.json().get("scope", scope) != scope:
            wrong.append(f"{persona} without {scope}: {lacking.status_code}")
        found = verdict(
            ask(keys(persona, (scope, *sent.scopes)), method, url, sent, world), url, sent.done
        )
        expected = sent.answer(persona, world)
        if found is not expected and expected is not Answer.LOGIN:
            wrong.append(f"{persona} with {scope}: {found}, not {expected}")
    assert not wrong, "\n".join([f"{method} {url}", *wrong])
