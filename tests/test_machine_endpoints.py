"""Machine endpoints work without a CSRF cookie; all other URLs require it.

A machine sends its secret with each request. A browser sends its session cookie automatically,
whoever triggers the request, so a page that accepts POST must check that the form is its own.
"""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.urls import reverse

from tests.access import ANYONE, MATRIX, NOBODY
from tests.accounts.test_deny_by_default import ALL
from tests.api.test_scope_matrix import ask
from tests.clients import Program
from tests.test_access_matrix import ADDRESSES

pytestmark = pytest.mark.any_database  # the check comes before any row is read

# By URL prefix. Our webhooks go elsewhere: we receive none.
MACHINES = (
    "api/",
    "fhir/",
    "dicomweb/",
    "oauth/",
    ".well-known/",
    "health/",
    "calendar/<str:secret>.ics",
    "mail/off/",
)


def for_machines(route: str) -> bool:
    return route.startswith(MACHINES)


def test_the_walk_finds_both_kinds():
    found = {for_machines(route) for _, route, _ in ADDRESSES}
    assert found == {True, False}
    for beginning in MACHINES:
        assert any(route.startswith(beginning) for _, route, _ in ADDRESSES), beginning


def test_only_machine_endpoints_are_exempt():
    """The exemption itself, as the middleware reads it."""
    wrong = []
    for name, route, view in ADDRESSES:
        exempt = getattr(view, "csrf_exempt", False)
        takes_posts = name in MATRIX and "POST" in MATRIX[name].methods
        if for_machines(route) and takes_posts and not exempt:
            wrong.append(f"{route} asks machines for a cookie")
        if not for_machines(route) and exempt:
            wrong.append(f"{route} takes POSTs from anybody's page")
    assert not wrong


def test_no_machine_is_asked_for_a_cookie(everything):
    """Public endpoints work, the others ask for a secret. With one: ``test_scope_matrix``."""
    wrong, world = [], everything.clinic
    for name in (name for name, route, _ in ADDRESSES if for_machines(route)):
        cache.clear()
        program, row = Program(), MATRIX[name]
        for method, sent in row.methods.items():
            answer = ask(program, method, reverse(name, args=row.args(world)), sent, world)
            expected = {sent.rule is ANYONE: sent.done, sent.rule is NOBODY: 404}.get(True, 401)
            if answer.status_code != expected:
                wrong.append((method, name, answer.status_code))
    assert not wrong


@pytest.mark.parametrize("persona", ["admin", "anonymous"])
def test_every_page_refuses_a_form_of_somebody_elses_page(persona, clients):
    """Whoever sends it, and even where POST is not allowed: the check comes first."""
    pages = [found for found in ALL if not for_machines(found[1].lstrip("/"))]
    accepted = []
    for name, path in pages:
        answer = clients[persona].post(path, HTTP_X_CSRFTOKEN="")
        told = "This page has been open too long" in answer.content.decode()
        if answer.status_code != 403 or not told:
            accepted.append((name, path, answer.status_code))
    assert pages
    assert not accepted
