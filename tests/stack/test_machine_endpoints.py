"""Each machine endpoint, used like other systems do: plain HTTP clients, and an OAuth client."""

from __future__ import annotations

import base64
import json
import re
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, ForbiddenError

from accounts.web.client_assertions import TYPE
from tests.factories import picture
from tests.stack.conftest import KEYS, Site

pytestmark = pytest.mark.stack


def oauth(site: Site, secret: str = "", **options: Any) -> OAuth2Session:
    """authlib's client, which requests and sends tokens itself."""
    return OAuth2Session(
        site.client_id,
        secret or site.client_secret,
        token_endpoint=f"{site.url}/oauth/token",
        grant_type="client_credentials",
        default_timeout=30,
        **options,
    )


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_system_gets_a_token_works_and_ends_it(site: Site, method: str) -> None:
    with oauth(site, token_endpoint_auth_method=method) as client:
        token = client.fetch_token()
        assert token["expires_in"] == 3600
        assert "refresh_token" not in token  # RFC 6749, 4.4.3
        made = client.post(f"{site.url}/api/v1/patients/", json={"label": f"S {method}"})
        assert made.status_code == 201
        assert client.get(f"{site.url}/api/v1/patients/{made.json()['id']}/").status_code == 200
        ended = client.revoke_token(f"{site.url}/oauth/revoke", token["access_token"])
        assert ended.status_code == 200
        assert client.get(f"{site.url}/api/v1/patients/").status_code == 401


def test_a_token_for_less(site: Site) -> None:
    with oauth(site) as client:
        assert client.fetch_token(scope="lesions:read")["scope"] == "lesions:read"
        assert client.get(f"{site.url}/api/v1/lesions/").status_code == 200
        refused = client.get(f"{site.url}/api/v1/patients/")
        assert (refused.status_code, refused.json()["scope"]) == (403, "patients:read")


def test_a_wrong_secret_gets_no_token(site: Site) -> None:
    with oauth(site, secret="wrong") as client, pytest.raises(OAuthError) as refused:
        client.fetch_token()
    assert refused.value.error == "invalid_client"


def test_there_is_nothing_to_refresh(site: Site) -> None:
    with oauth(site) as client, pytest.raises(OAuthError) as refused:
        client.refresh_token(f"{site.url}/oauth/token", refresh_token="x")
    assert refused.value.error == "unsupported_grant_type"


def smart(site: Site, key: Any, audience: str) -> OAuth2Session:
    """authlib's client with a key of its own. It signs for an hour unless told otherwise."""
    client = OAuth2Session(
        site.client_with_keys,
        key,
        token_endpoint_auth_method=PrivateKeyJWT.name,
        revocation_endpoint_auth_method=PrivateKeyJWT.name,
        default_timeout=30,
    )
    soon = {"exp": int(time.time()) + 240}
    signer = PrivateKeyJWT(audience, claims=soon, headers={"kid": key.kid}, alg=key.alg)
    client.register_client_auth_method(signer)
    return client


@pytest.mark.parametrize("key", KEYS, ids=["ES384", "RS384"])
def test_a_smart_backend_service_reads_fhir(site: Site, key: Any) -> None:
    """From the address of FHIR alone: it learns where the tokens are, signs in and reads."""
    with oauth(site) as client:
        client.fetch_token()
        made = client.post(
            f"{site.url}/api/v1/patients/", json={"label": f"SMART {key.alg}"}
        ).json()
    base = f"{site.url}/fhir/R4"
    told = httpx.get(f"{base}/.well-known/smart-configuration").json()
    metadata = httpx.get(f"{site.url}/.well-known/oauth-authorization-server").json()
    address = told["token_endpoint"]
    assert address == metadata["token_endpoint"] == f"{site.url}/oauth/token"
    assert key.alg in told["token_endpoint_auth_signing_alg_values_supported"]
    with smart(site, key, address) as client:
        asked = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
        token = client.fetch_token(address, **asked)
    peer = SyncFHIRClient(base, authorization=f"Bearer {token['access_token']}")
    assert made["id"] in {one.id for one in peer.resources("Patient").fetch_all()}
    with pytest.raises(ForbiddenError, match=re.escape("system/Media.s")):
        peer.resources("Media").fetch()
    with smart(site, key, address) as client:
        ended = client.revoke_token(told["revocation_endpoint"], token["access_token"])
    assert ended.status_code == 200
    with pytest.raises(AuthorizationError):
        peer.resources("Patient").fetch()


def test_an_assertion_counts_once_in_both_processes(site: Site) -> None:
    address, key = f"{site.url}/oauth/token", KEYS[0]
    assertion = private_key_jwt_sign(
        key,
        site.client_with_keys,
        address,
        key.alg,
        {"exp": int(time.time()) + 240},
        header={"kid": key.kid},
    )
    fields = {
        "grant_type": "client_credentials",
        "client_assertion_type": TYPE,
        "client_assertion": assertion,
    }
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: httpx.post(address, data=fields), range(16)))
    assert sorted(one.status_code for one in answers) == [200, *[401] * 15]


def ask(site: Site, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, bytes]:
    """Python's own client: no cookie, and only the given headers."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    data = None
    if body is not None:
        headers["Content-Type"], data = "application/json", json.dumps(body).encode()
    request = urllib.request.Request(site.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def test_a_key_writes_and_reads(site: Site) -> None:
    status, answer = ask(site, "POST", "/api/v1/patients/", {"label": "U-1"}, site.key)
    assert status == 201
    address = f"/api/v1/patients/{json.loads(answer)['id']}/"
    assert ask(site, "PATCH", address, {"sex": "female"}, site.key)[0] == 200
    assert (
        ask(
            site,
            "GET",
            address.replace("/api/v1/patients/", "/fhir/R4/Patient/")[:-1],
            None,
            site.key,
        )[0]
        == 200
    )
    assert ask(site, "POST", "/api/v1/patients/", {"label": "U-2"})[0] == 401


def test_a_calendar_is_fetched_by_its_address(site: Site) -> None:
    status, answer = ask(site, "POST", "/api/v1/calendar-feed/", {}, site.key)
    assert status == 201
    fetched = httpx.get(json.loads(answer)["address"])
    assert fetched.status_code == 200
    assert fetched.text.startswith("BEGIN:VCALENDAR")


MAKE_A_LINK = """
from accounts import unsubscribing
from accounts.models import User
user = User.objects.get(email="person@example.org")
print(unsubscribing.headers(user)["List-Unsubscribe"].strip("<>"))
"""


def test_a_mail_program_ends_mail_by_one_click(site: Site) -> None:
    """RFC 8058: a POST of this form, from a program that has no cookie."""
    shell = ("manage.py", "shell", "--no-imports", "-c", MAKE_A_LINK)
    address = site.installation.python(*shell, SITE_URL=site.url).splitlines()[-1]
    mailed = "SELECT mails_reminders FROM accounts_user WHERE email = 'person@example.org'"
    assert httpx.get(address, timeout=30).status_code == 200
    assert site.installation.query(mailed)[0][0]  # reading the page ends nothing
    ended = httpx.post(address, data={"List-Unsubscribe": "One-Click"}, timeout=30)
    assert ended.status_code == 200
    assert not site.installation.query(mailed)[0][0]
    forged = httpx.post(address[:-3] + "xx/", data={"List-Unsubscribe": "One-Click"}, timeout=30)
    assert forged.status_code == 404


def test_fhir_is_searched_by_post(site: Site) -> None:
    """As systems do that keep identifiers out of addresses: a form, and no cookie."""
    _, answer = ask(site, "POST", "/api/v1/patients/", {"label": "Q-1"}, site.key)
    form = {"_id": json.loads(answer)["id"]}
    address, headers = (
        f"{site.url}/fhir/R4/Patient/_search",
        {"Authorization": f"Bearer {site.key}"},
    )
    found = httpx.post(address, data=form, headers=headers, timeout=30)
    assert found.status_code == 200
    assert [one["resource"]["id"] for one in found.json()["entry"]] == [form["_id"]]
    assert httpx.post(address, data=form, timeout=30).status_code == 401


def test_what_is_kept_is_for_its_owner_only(site: Site) -> None:
    _, patient = ask(site, "POST", "/api/v1/patients/", {"label": "F-1"}, site.key)
    lesion = {"patient": json.loads(patient)["id"]}
    _, answer = ask(site, "POST", "/api/v1/lesions/", lesion, site.key)
    file = base64.b64encode(picture()).decode()
    image = {"lesion": json.loads(answer)["id"], "file": file}
    assert ask(site, "POST", "/api/v1/images/", image, site.key)[0] == 202
    folder = site.installation.folder
    stored = [path for path in (folder / "media").rglob("*") if path.is_file()]
    assert stored
    for path in (folder, *stored):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/fhir/R4/metadata"])
def test_what_is_open_to_all(site: Site, path: str) -> None:
    assert ask(site, "GET", path)[0] == 200
