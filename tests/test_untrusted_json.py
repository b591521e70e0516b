"""JSON from outside that is nested too deeply, or has an excessive number, is rejected when it is
parsed.
"""

from __future__ import annotations

import ast
from base64 import urlsafe_b64encode

import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts import public_keys, services
from skincheck_site import untrusted_json
from tests.clients import Browser, Program
from tests.test_architecture import ALL

pytestmark = pytest.mark.any_database

DEEP = ["[" * 20_000, '{"a":' * 2_000 + "1" + "}" * 2_000, "[" * 60 + "]" * 60, "1" * 5_000]
OUR_OWN = {
    "ml.evaluation.cases": "the card",
    "ml.evaluation.evaluate": "a run's recipe",
    "ml.evaluation.repeatability": "the card",
    "ml.reader": "the card",
    "ml.training.export": "the card",
    "ml.training.recipe": "a recipe",
    "ml.training.train": "a run's figures",
    "screening.corrections.journal": "what was just written",
    "screening.images.cleaning": "what was just written",
    "screening.images.decoder": "what the web process asks",
    "screening.images.sandbox": "what `cleaning` says, of flat fields",
    "screening.management.commands.verify_erasure": "a file that the operator names",
    "screening.web.forms.conflicts": "what was just written",
    "screening.web.views.front": "a file of the repository",
    "skincheck_site.untrusted_json": "the one that refuses",
}
"""Modules that call Python's ``json.loads``, and what they read."""


@pytest.fixture(autouse=True)
def no_limit():
    cache.clear()


def test_the_deepest_that_is_taken():
    within = untrusted_json.DEEPEST
    for begin, end in (("[", "]"), ('{"a":', "}")):
        assert untrusted_json.loads(begin * within + "1" + end * within)
        with pytest.raises(ValueError, match="deep"):
            untrusted_json.loads(begin * (within + 1) + "1" + end * (within + 1))
    assert untrusted_json.loads(b'{"a": [1, "[[[["]}') == {"a": [1, "[[[["]}


@pytest.mark.parametrize("text", [*DEEP, "", "{", b"\xff", '"\\ud800'], ids=range(8))
def test_all_else_is_a_value_error(text):
    with pytest.raises(ValueError):
        untrusted_json.loads(text)


def test_nothing_else_reads_json_from_outside():
    """Python's own parser raises RecursionError, and Django's field and REST framework's parser
    pass it on.
    """
    found = set()
    for name, path in ALL:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call | ast.Name | ast.Attribute):
                continue
            text = ast.unparse(node.func if isinstance(node, ast.Call) else node)
            if text in ("json.loads", "json.load"):
                found.add(name)
            if text in ("forms.JSONField", "serializers.JSONField"):
                assert name == "accounts.web.forms", f"{name} has a field of JSON"
            if text.endswith("JSONParser"):
                allowed = ("screening.api.http.parsers", "screening.api.fhir")
                assert name.startswith(allowed), f"{name} has a parser of its own"
    assert found == set(OUR_OWN)


@pytest.mark.parametrize("text", DEEP, ids=range(4))
class TestIsRefused:
    @pytest.mark.django_db
    def test_as_a_passkey_of_anyone(self, text):
        response = Browser().post(reverse("mfa_login_webauthn"), {"credential": text})
        assert response.status_code == 302

    def test_as_a_passkey_on_other_forms(self, personas, text):
        browser = Browser()
        browser.force_login(personas.admin)
        for name in ("mfa_add_webauthn", "mfa_reauthenticate_webauthn"):
            response = browser.post(reverse(name), {"credential": text})
            assert response.status_code in (200, 302), name

    def test_as_the_values_that_a_form_was_opened_with(self, personas, text):
        browser = Browser()
        browser.force_login(personas.admin)
        sent = {"label": "Changed", "opened": text}
        response = browser.post(reverse("patient_edit", args=[personas.patient.pk]), sent)
        assert response.status_code == 200
        personas.patient.refresh_from_db()
        assert personas.patient.label != "Changed"

    def test_as_a_page_of_a_search(self, personas, text):
        program = Program(services.create_api_key(user=personas.admin, name="x")[1])
        page = urlsafe_b64encode(text[:3_000].encode()).decode()
        response = program.get(f"/fhir/R4/Patient?_page={page}")
        assert response.status_code == 400

    def test_as_a_body(self, personas, text):
        program = Program(services.create_api_key(user=personas.admin, name="x")[1])
        for path in ("/api/v1/patients/", f"/fhir/R4/Patient/{personas.patient.pk}/$everything"):
            for number, body in enumerate((text, '{"label": "X", "x": ' + text + "}")):
                response = program.generic(
                    "POST",
                    path,
                    body,
                    content_type="application/json",
                    HTTP_IDEMPOTENCY_KEY=f"{path[:4]}{number}",
                )
                assert response.status_code == 400, path

    def test_as_a_set_of_keys(self, text):
        assert public_keys.of_set(b'{"keys": [' + text.encode() + b"]}") == []


@pytest.mark.parametrize(
    "credential",
    [
        "{}",
        "[]",
        "null",
        '"x"',
        "5",
        '{"id": 5, "rawId": [], "type": {}, "response": 7}',
        '{"id": "\\ud800", "rawId": "\\ud800", "type": "public-key", "response": {}}',
        '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "AA", '
        '"authenticatorData": "AA", "attestationObject": "AA", "signature": "AA"}}',
        '{"id": "AA", "rawId": "AA", "type": "x", "response": {"clientDataJSON": "e30", '
        '"authenticatorData": "AA", "attestationObject": "oA", "signature": "AA"}}',
    ],
)
def test_a_passkey_that_is_none(personas, credential):
    browser, sent = Browser(), {"credential": credential}
    assert browser.post(reverse("mfa_login_webauthn"), sent).status_code == 302
    browser.force_login(personas.admin)
    for name in ("mfa_add_webauthn", "mfa_reauthenticate_webauthn"):
        assert browser.post(reverse(name), sent).status_code in (200, 302)
