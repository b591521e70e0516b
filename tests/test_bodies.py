"""What anonymous clients may send, and what a body may cost."""

from __future__ import annotations

import io
from itertools import product

import pytest

from accounts import services
from screening.api.http.parsers import MAX_PARTS
from skincheck_site.bodies import ASK_FIRST, MOST_OF_A_STRANGER
from tests.accounts.test_deny_by_default import ALL
from tests.clients import Browser, Program

pytestmark = pytest.mark.any_database  # the body is refused before any row is read

PAGES = [found for found in ALL if not found[1].startswith(ASK_FIRST)]


class Unread(io.BytesIO):
    """A body that nobody may read."""

    def read(self, *args: object) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def sent(client, path: str, length: int, body: io.BytesIO, kind: str):
    return client.generic(
        "POST", path, content_type=kind, CONTENT_LENGTH=str(length), **{"wsgi.input": body}
    )


def test_a_strangers_body_is_refused_unread(db):
    kinds = ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded")
    taken = []
    for (name, path), kind in product(PAGES, kinds):
        client = Browser(raise_request_exception=False)  # that of a body that was read
        answer = sent(client, path, MOST_OF_A_STRANGER + 1, Unread(), kind)
        if answer.status_code != 413:
            taken.append((name, path, kind, answer.status_code))
    assert not taken


@pytest.mark.parametrize("secret", [None, "sk_wrong", "wrong"])
@pytest.mark.parametrize(
    "path", ["/api/v1/images/", "/api/v1/batches/", "/api/v1/patients/", "/fhir/R4/Patient"]
)
def test_the_api_asks_who_calls_before_it_reads(db, secret, path):
    for kind in ("multipart/form-data; boundary=x", "application/json"):
        answer = sent(Program(secret), path, 4_000_000_000, Unread(), kind)
        assert answer.status_code == 401


def test_a_log_in_of_the_usual_size_is_read(db):
    answer = Browser().post("/accounts/login/", {"login": "a@x.org", "password": "x" * 1000})
    assert answer.status_code == 200


def test_a_person_may_send_more(client, personas):
    client.force_login(personas.admin)
    answer = client.post("/account/", {"first_name": "x" * 2 * MOST_OF_A_STRANGER})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("[" * (MAX_PARTS + 1), 413),
        ("[" + "0," * (MAX_PARTS + 1) + "0]", 413),
        ('{"label":' * (MAX_PARTS + 1), 413),
        ("[" * MAX_PARTS, 400),
        ('{"label": ' + "[" * 5000 + "]" * 5000 + "}", 400),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/patients/", "/api/v1/images/"])
def test_json_of_many_parts_is_not_built(personas, body, status, path):
    _, secret = services.create_api_key(user=personas.clinician, name="x")
    answer = Program(secret).generic("POST", path, body, content_type="application/json")
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
