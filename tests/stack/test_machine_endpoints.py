"""Each machine endpoint, used like other systems do: plain HTTP clients, and an OAuth client."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import Any

import httpx
import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from tests.factories import picture
from tests.stack.conftest import Site

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
