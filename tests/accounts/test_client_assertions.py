"""An application signs in with its keys, by authlib's signatures; and each way around them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import reverse
from django.utils import timezone
from joserfc.jwk import ECKey, RSAKey

from accounts import applications, discovery, public_keys
from accounts.models import Application, UsedAssertion
from accounts.web import client_assertions
from accounts.web.client_assertions import TYPE, application_of
from screening import tasks
from screening.errors import AssertionRefused
from screening.webhooks import targets
from tests.clients import Browser, Program
from tests.webhooks.receiver import receiving

RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-384", {"kid": "ec"})
STRANGE = RSAKey.generate_key(2048, {"kid": "rsa"})
SCOPES = ["fhir:read", "patients:read"]


@pytest.fixture(autouse=True)
def a_fresh_limit():
    """All tests come from one address, and a minute has sixty tokens."""
    cache.clear()


def key_set(*keys: Any, **more: Any) -> str:
    return json.dumps({"keys": [key.as_dict(private=False) | more for key in keys]})


@pytest.fixture
def system(personas) -> Application:
    application, secret = applications.register_application(
        user=personas.admin,
        clinic=personas.clinic,
        name="Archive",
        role="viewer",
        scopes=SCOPES,
        keys=key_set(RSA, EC),
    )
    assert secret == ""
    return application


def signed(application: Application, key: Any = EC, alg: str = "ES384", **more: Any) -> str:
    """header, claims: what is different."""
    header = {"kid": key.kid, "typ": "JWT"} | more.pop("header", {})
    claims = {"exp": int(time.time()) + 240} | more.pop("claims", {})
    client_id, audience = application.client_id, discovery.token_address()
    return private_key_jwt_sign(key, client_id, audience, alg, claims, header=header)


def token(assertion: str, address: str = "/oauth/token", headers: Any = None, **fields: str) -> Any:
    body = {
        "grant_type": "client_credentials",
        "client_assertion_type": TYPE,
        "client_assertion": assertion,
        **fields,
    }
    kind = "application/x-www-form-urlencoded"
    return Program().generic("POST", address, urlencode(body), content_type=kind, **headers or {})


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS384"), (EC, "ES384")])
def test_it_gets_a_token_and_reads(system, key, alg, personas):
    answer = token(signed(system, key, alg), scope="system/Patient.rs")
    assert answer.status_code == 200
    assert answer.json()["scope"] == "system/Patient.rs"
    program = Program(answer.json()["access_token"])
    assert program.get("/fhir/R4/Patient").status_code == 200
    ended = token(signed(system), "/oauth/revoke", token=answer.json()["access_token"])
    assert ended.status_code == 200
    assert program.get("/fhir/R4/Patient").status_code == 401


LATER = int(time.time()) + 3600
WRONG_CLAIMS: list[dict[str, Any]] = [
    {"exp": int(time.time()) - 60},
    {"exp": LATER},
    {"exp": "soon"},
    {"exp": str(int(time.time()) + 200)},
    {"exp": 1e400},
    {"nbf": LATER},
    {"iat": LATER},
    {"aud": "https://elsewhere.example/oauth/token"},
    {"aud": [discovery.token_address(), "https://elsewhere.example/oauth/token"]},
    {"aud": None},
    {"iss": "somebody"},
    {"sub": "somebody"},
    {"jti": ""},
    {"jti": 7},
    {"jti": "x" * 256},
]


# Numbered: each process of a run has its own clock, and all must name the tests alike.
@pytest.mark.parametrize("claims", WRONG_CLAIMS, ids=range(len(WRONG_CLAIMS)))
def test_wrong_claims_are_refused(system, claims):
    refused = token(signed(system, claims=claims))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert not UsedAssertion.objects.exists()


def test_a_missing_end_is_named(system):
    refused = token(signed(system, claims={"exp": None}))
    assert (refused.status_code, refused.json()["error_description"]) == (401, "exp is missing.")


def test_what_another_key_signs_is_refused(system):
    refused = token(signed(system, STRANGE, "RS384"))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def unsecured(application: Application, alg: str, secret: bytes = b"") -> str:
    """Signed with what everybody knows: with nothing, or with the public key as if it were a
    secret.
    """

    def part(data: Any) -> bytes:
        text = data if isinstance(data, bytes) else json.dumps(data).encode()
        return urlsafe_b64encode(text).rstrip(b"=")

    claims = {
        "iss": application.client_id,
        "sub": application.client_id,
        "aud": discovery.token_address(),
        "exp": int(time.time()) + 200,
        "jti": "1",
    }
    text = part({"alg": alg, "kid": "rsa"}) + b"." + part(claims)
    signature = hmac.new(secret, text, hashlib.sha384).digest() if secret else b""
    return (text + b"." + part(signature)).decode()


@pytest.mark.parametrize("alg", ["none", "None", "HS384", "HS256", ""])
def test_the_header_does_not_choose_the_algorithm(system, alg):
    for secret in (b"", RSA.as_pem(private=False), RSA.as_der(private=False)):
        refused = token(unsecured(system, alg, secret))
        assert refused.status_code == 401
    assert not UsedAssertion.objects.exists()


def test_only_smarts_algorithms_count(system):
    for alg in ("RS256", "PS384", "RS512"):
        assert token(signed(system, RSA, alg)).status_code == 401
    with_another = {"kid": "ec"}  # the type of the key decides, not its name
    assert token(signed(system, RSA, "RS384", header=with_another)).status_code == 401


@pytest.mark.parametrize(
    "assertion",
    [
        "",
        "x",
        "a.b.c",
        "." * 9000,
        "\0",
        "e30.e30.",
        "WzBd" * 900 + ".e30.x",
        "W1tb" * 1500 + ".e30.x",
    ],
    ids=range(8),
)
def test_what_is_no_assertion_is_refused(db, assertion):
    assert token(assertion).status_code == 401


def test_headers_of_the_assertion_name_no_key(system):
    """jwk, jku and x5u of the sender are not followed."""
    own = {"jwk": STRANGE.as_dict(private=False)}
    assert token(signed(system, STRANGE, "RS384", header=own)).status_code == 401
    jku = {"jku": "https://attacker.example/jwks.json"}
    assert token(signed(system, header=jku)).status_code == 401
    assert token(signed(system, header={"kid": ""})).status_code == 401


def test_an_assertion_counts_once(system):
    assertion = signed(system)
    assert token(assertion).status_code == 200
    again = token(assertion)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    assert "used before" in again.json()["error_description"]


def test_a_refused_scope_uses_it_too(system):
    assertion = signed(system)
    assert token(assertion, scope="lesions:read").json()["error"] == "invalid_scope"
    assert token(assertion).status_code == 401


def test_one_way_at_a_time(system, personas):
    basic = {"HTTP_AUTHORIZATION": "Basic eDp4"}
    assert token(signed(system), headers=basic).status_code == 401
    assert token(signed(system), client_secret="x").status_code == 401
    assert token(signed(system), client_id="another").status_code == 401
    assert token(signed(system), client_id=system.client_id).status_code == 200
    secret = applications.renew_secret(user=personas.admin, application=system)
    assert token(signed(system)).status_code == 401
    fields = {"client_id": system.client_id, "client_secret": secret}
    kind = {"content_type": "application/x-www-form-urlencoded"}
    body = urlencode({"grant_type": "client_credentials", **fields})
    assert Program().generic("POST", "/oauth/token", body, **kind).status_code == 200
    applications.set_keys(user=personas.admin, application=system, keys=key_set(EC))
    assert Program().generic("POST", "/oauth/token", body, **kind).status_code == 401
    assert token(signed(system)).status_code == 200


def test_a_revoked_or_suspended_application_gets_none(system, personas):
    personas.admin.is_active = False
    personas.admin.save()
    assert token(signed(system)).status_code == 401
    personas.admin.is_active = True
    personas.admin.save()
    applications.revoke_application(user=personas.admin, application=system)
    assert token(signed(system)).status_code == 401


def test_another_applications_key_is_no_use(system, personas):
    other, _ = applications.register_application(
        user=personas.admin,
        clinic=personas.clinic,
        name="Other",
        role="viewer",
        scopes=SCOPES,
        keys=key_set(STRANGE),
    )
    assert token(signed(system, STRANGE, "RS384")).status_code == 401
    same = {"claims": {"jti": "the same"}}
    assert token(signed(system, **same)).status_code == 200
    assert token(signed(other, STRANGE, "RS384", **same)).status_code == 200


@pytest.mark.parametrize(
    "scope",
    [
        "system/*.cruds",
        "system/*.*",
        "system/Patient.w",
        "patient/*.rs",
        "system/Patient.rs?a=b",
        "launch",
        "system/Nothing.rs",
        "system/*",
    ],
)
def test_more_than_there_is_cannot_be_asked_for(system, scope):
    assert token(signed(system), scope=scope).json()["error"] == "invalid_scope"


def test_smarts_scopes_are_for_who_may_read_fhir(personas):
    application, _ = applications.register_application(
        user=personas.admin,
        clinic=personas.clinic,
        name="Lists",
        role="viewer",
        scopes=["patients:read"],
        keys=key_set(EC),
    )
    assert token(signed(application), scope="system/*.rs").json()["error"] == "invalid_scope"


# Key sets


def test_keys_are_kept_without_what_else_is_in_them(system):
    assert all(key.keys() <= {"kty", "kid", "n", "e", "crv", "x", "y"} for key in system.jwks)


SMALL = RSAKey.generate_key(2048, {"kid": "s"}).as_dict(private=False) | {"n": "AQAB" * 40}
NO_SETS = [
    json.dumps({"keys": [RSA.as_dict(private=True)]}),
    json.dumps({"keys": [{"kty": "oct", "kid": "x", "k": "c2VjcmV0"}]}),
    json.dumps({"keys": [SMALL]}),
    key_set(ECKey.generate_key("P-256", {"kid": "x"})),
    key_set(RSAKey.generate_key(2048)).replace("kid", "kit"),
    key_set(RSA, use="enc"),
    key_set(RSA, alg="RS256"),
    '{"keys": []}',
    '{"keys": {}}',
    "[]",
    "[" * 5000,
    "http://example.org/jwks.json",
    "ftp://example.org/jwks.json",
    "https://" + "x" * 600,
]


@pytest.mark.parametrize("text", NO_SETS, ids=range(len(NO_SETS)))
def test_what_is_no_set_of_public_keys_is_refused(personas, text):
    with pytest.raises(ValidationError):
        applications.register_application(
            user=personas.admin,
            clinic=personas.clinic,
            name="X",
            role="viewer",
            scopes=SCOPES,
            keys=text,
        )


def test_an_admin_gives_the_keys_on_the_clinics_page(personas, system):
    browser = Browser()
    browser.force_login(personas.admin)
    fields = {"name": "With keys", "role": "viewer", "access": "read", "keys": key_set(EC)}
    page = browser.post(reverse("application_new", args=[personas.clinic.pk]), fields)
    made = Application.objects.get(name="With keys")
    assert made.client_id in page.content.decode()
    assert "Client secret" not in page.content.decode()
    assert token(signed(made)).status_code == 200
    address = reverse("application_keys", args=[personas.clinic.pk, system.pk])
    for url in ("https://127.0.0.1/x", "https://localhost/x", "https://10.0.0.1/x", "https://a/x"):
        shown = browser.post(address, {"keys": url}, follow=True).content.decode()
        assert "not on the public internet" in shown
    system.refresh_from_db()
    assert system.jwks_url == ""
    browser.post(address, {"keys": "https://example.org/jwks.json"})
    system.refresh_from_db()
    assert (system.jwks, system.jwks_url) == ([], "https://example.org/jwks.json")
    page = browser.get(reverse("clinic", args=[personas.clinic.pk])).content.decode()
    assert "https://example.org/jwks.json" in page


def test_only_an_admin_sets_keys(personas, system):
    with pytest.raises(PermissionDenied):
        applications.set_keys(user=personas.clinician, application=system, keys=key_set(EC))


# Key sets at an address


@pytest.fixture
def at_address(system, settings):
    """An application whose keys are at the address of a server in this process."""
    settings.WEBHOOK_ALLOW_PRIVATE = True
    cache.clear()
    with receiving() as server:
        Application.objects.filter(pk=system.pk).update(jwks=[], jwks_url=server.url)
        system.refresh_from_db()
        server.answer = key_set(EC).encode()
        yield system, server


def test_keys_are_fetched_and_kept_for_a_while(at_address):
    system, server = at_address
    assert token(signed(system)).status_code == 200
    assert token(signed(system)).status_code == 200
    assert len(server.got) == 1


def test_a_new_key_is_asked_for_but_not_all_the_time(at_address):
    system, server = at_address
    for _ in range(5):
        assert token(signed(system, RSA, "RS384")).status_code == 401
    assert len(server.got) == 1
    cache.clear()
    server.answer = key_set(RSA).encode()
    assert token(signed(system, RSA, "RS384")).status_code == 200


def test_no_store_is_obeyed(at_address):
    system, server = at_address
    server.headers = {"Cache-Control": "no-store"}
    assert token(signed(system)).status_code == 200
    answer = token(signed(system)).json()
    assert "Try again" in answer["error_description"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, key_set(EC)),
        (302, key_set(EC)),
        (200, "x" * (public_keys.LARGEST + 1)),
        (200, "<html>"),
        (200, "[" * 20_000),
        (200, '{"keys": [1, null, {"kty": "RSA"}, {"kid": 7, "kty": "EC"}]}'),
    ],
)
def test_what_is_no_set_at_the_address_opens_nothing(at_address, status, body):
    system, server = at_address
    server.status, server.answer = status, body.encode()
    server.headers = {"Location": server.url} if status == 302 else {}
    assert token(signed(system)).status_code == 401
    assert len(server.got) == 1


def test_an_address_that_drips_is_given_up(at_address, monkeypatch):
    system, server = at_address
    monkeypatch.setattr(client_assertions, "FETCH_SECONDS", 0.5)
    server.drip = 0.05
    refused = token(signed(system))
    assert "No answer within" in refused.json()["error_description"]


def test_an_inner_address_is_not_asked(at_address, settings, monkeypatch):
    """Whatever was registered: the name may have led elsewhere then."""
    system, server = at_address
    settings.WEBHOOK_ALLOW_PRIVATE = False
    inner = [(2, 1, 6, "", ("10.0.0.7", 443))]
    monkeypatch.setattr(targets.socket, "getaddrinfo", lambda *args, **more: inner)
    for url in (server.url, "https://169.254.169.254/latest", "https://rebound.example/jwks.json"):
        cache.clear()
        Application.objects.filter(pk=system.pk).update(jwks_url=url)
        assert token(signed(system)).status_code == 401
    assert not server.got


# Housekeeping and discovery


def test_used_assertions_are_forgotten_once_they_expire(system):
    application_of(TYPE, signed(system))
    tasks.forget_answers_and_tokens_task()
    assert UsedAssertion.objects.count() == 1
    UsedAssertion.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    tasks.forget_answers_and_tokens_task()
    assert not UsedAssertion.objects.exists()


def test_the_type_of_the_assertion_is_asked_for(system):
    with pytest.raises(AssertionRefused):
        application_of("urn:ietf:params:oauth:client-assertion-type:saml2-bearer", signed(system))


def test_the_server_says_how_to_get_a_token(client, settings):
    settings.SITE_URL = "https://skin.example"
    told = Program().get("/.well-known/oauth-authorization-server").json()
    metadata = AuthorizationServerMetadata(told)
    for name in ("issuer", "token_endpoint", "revocation_endpoint", "grant_types_supported"):
        getattr(metadata, f"validate_{name}")()
    metadata.validate_token_endpoint_auth_methods_supported()
    metadata.validate_token_endpoint_auth_signing_alg_values_supported()
    assert told["issuer"] == "https://skin.example"
    assert "authorization_endpoint" not in told
    smart = Program().get("/fhir/R4/.well-known/smart-configuration", HTTP_ACCEPT="text/html")
    assert smart.headers["Content-Type"] == "application/json"
    assert (
        smart.json()["token_endpoint"]
        == told["token_endpoint"]
        == "https://skin.example/oauth/token"
    )
    assert not any("launch" in one for one in smart.json()["capabilities"])
    assert "system/*.rs" in smart.json()["scopes_supported"]
