"""schemathesis runs against the whole document: no crashes, and no undocumented responses.

Every operation gets the document's examples, the boundary values of each field, missing headers and
unsupported methods, and generated requests, valid and invalid. Each request finds one of everything
and is rolled back, so the order does not matter.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.db.backends.base.base import BaseDatabaseWrapper
from django.urls import resolve
from hypothesis import HealthCheck, assume, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation

from accounts import services
from screening.api import openapi
from screening.api.http.throttling import CallerThrottle
from tests.access import MATRIX, World, archive
from tests.conftest import Everything
from tests.factories import picture
from tests.transactions import rolled_back

EXAMPLES = 5
IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
EXAMPLE = "019ab0d2-5c8e-7d10-9f3a-5d0f6b1c2a10"
HOW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# Documented statuses. Some valid requests are rejected too, for reasons that no field schema
# states: a record that does not exist or is another's, a name in ``fields``, inconsistent dates
# (400), an old ETag (412), a known Idempotency-Key with another body (422).
REFUSED = ["400", "401", "403", "404", "409", "412", "422"]
# An invalid request may fail on an old ETag first: RFC 9110 checks If-Match before the body.
UNTRUE = [*REFUSED, "405", "406", "413", "415"]
CONFIG: dict[str, Any] = {
    "seed": 1,
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "304", *REFUSED]},
        "negative_data_rejection": {"expected-statuses": UNTRUE},
    },
}
# With a key, schemathesis would repeat each request without it, as ``test_without_a_key`` does.
WITH_KEY = CONFIG | {"checks": CONFIG["checks"] | {"ignored_auth": {"enabled": False}}}
WITHOUT_KEY = CONFIG | {"phases": {"coverage": {"enabled": False}}}
document, document_without_key = (
    schemathesis.openapi.from_dict(openapi.document(), config=SchemathesisConfig.from_dict(config))
    for config in (WITH_KEY, WITHOUT_KEY)
)


@cache
def site() -> WSGIHandler:
    """Created at the first request, when the fixtures have set up the site."""
    return WSGIHandler()


def served(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """As a real server does: headers become plain text, and a response is closed once sent."""

    def start(status: str, headers: list[tuple[str, str]]) -> None:
        start_response(status, [(name, str(value)) for name, value in headers])

    answer = site()(environ, start)
    try:
        return [b"".join(answer)]
    finally:
        answer.close()


document.app = document_without_key.app = served


@pytest.fixture
def world(everything: Everything, monkeypatch: pytest.MonkeyPatch) -> World:
    # A real site closes its connection between requests; here it is the test's transaction.
    monkeypatch.setattr(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", lambda self: None)
    monkeypatch.setattr(CallerThrottle, "rate", "1000000/min", raising=False)
    return everything.clinic


@pytest.fixture
def key(everything: Everything) -> str:
    user = everything.personas.admin
    return services.create_api_key(user=user, name="conformance")[1]


def aimed(case: Any, world: World) -> Any:
    """The case, with existing records in place of generated identifiers; otherwise everything is
    404.

    A generated ETag or key is removed unless it is under test; otherwise everything is 412 or 409,
    and the body is not examined.
    """
    name = resolve(case.operation.path.replace("{id}", EXAMPLE)).view_name
    if is_identifier((case.path_parameters or {}).get("id")):
        case.path_parameters = {"id": str(MATRIX[name].args(world)[0])}
    assume(not is_rightly_ignored(case))
    if case.headers and not is_about_headers(case):
        for name in ("If-Match", "Idempotency-Key"):
            case.headers.pop(name, None)
    if case.query and is_true(case, ParameterLocation.QUERY):
        for name in ("fields", "expand"):  # a different shape: see test_conventions.py
            case.query.pop(name, None)
    for where in ("query", "body"):
        given = getattr(case, where)
        if isinstance(given, dict):
            found = {name: known(world, name, value) for name, value in given.items()}
            real = files(case) if where == "body" else {}
            # Bypass schemathesis, which would validate it again and reject files
            object.__setattr__(case, where, found | real)
    return case


def is_about_headers(case: Any) -> bool:
    where = getattr(case.meta.phase.data, "parameter_location", None)
    return where == ParameterLocation.HEADER or not is_true(case, ParameterLocation.HEADER)


def is_rightly_ignored(case: Any) -> bool:
    """An invalid header that must be ignored: an unknown one (RFC 9110, 5.1), or an unsupported
    preference (RFC 7240, 2).
    """
    names = {name.lower() for name in case.headers or ()}
    ignored = {"prefer", "x-schemathesis-unknown-property"}
    return not is_true(case, ParameterLocation.HEADER) and bool(names & ignored)


def is_true(case: Any, where: ParameterLocation) -> bool:
    """Whether this part of the request is valid by the document, or absent."""
    part = case.meta.components.get(where)
    return part is None or not part.mode.is_negative


def known(world: World, name: str, value: Any) -> Any:
    if not is_identifier(value):
        return value
    if name in ("earlier", "later"):
        return str(getattr(world.comparison, f"{name}_id"))
    record = getattr(world, name, None)
    return str(record.pk) if record else value


def files(case: Any) -> dict[str, Any]:
    """Real files in place of generated bytes, in a valid body."""
    if not is_true(case, ParameterLocation.BODY):
        return {}
    if case.media_type == "multipart/form-data":
        real = {"file": picture(), "archive": archive().read()}
    else:
        real = {"file": b64encode(picture()).decode()}
    return {name: made for name, made in real.items() if name in case.body}


def is_identifier(value: Any) -> bool:
    return isinstance(value, str) and IDENTIFIER.fullmatch(value) is not None


@document.parametrize()
@HOW
def test_with_a_key(case: Any, world: World, key: str) -> None:
    with rolled_back():
        # Called without a server, schemathesis does not decompress.
        headers = {"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"}
        aimed(case, world).call_and_validate(headers=headers)


@pytest.mark.any_database
@document_without_key.parametrize()
@HOW
def test_without_a_key(case: Any, world: World) -> None:
    """Without boundary values: nobody reads the fields of a caller who has no key."""
    with rolled_back():
        aimed(case, world).call_and_validate()
