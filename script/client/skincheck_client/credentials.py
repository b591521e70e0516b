"""How a program authenticates."""

from __future__ import annotations

from collections.abc import Generator

import httpx

from skincheck_client.errors import NotAuthenticated, Unreachable


class Key(httpx.Auth):
    """A person's API key, or a token."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


class ClientCredentials(httpx.Auth):
    """A registered system's client ID and secret (OAuth 2 client credentials). Tokens are fetched,
    and fetched again when they expire. Raises NotAuthenticated if the site does not know them,
    and Unreachable if what answers is not SkinCheck.
    """

    requires_response_body = True

    def __init__(self, client_id: str, client_secret: str) -> None:
        self._basic = httpx.BasicAuth(client_id, client_secret)
        self._token = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        kept = self._token
        if not kept:
            yield from self._fetch(request)
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if kept and response.status_code == httpx.codes.UNAUTHORIZED:  # it has expired
            yield from self._fetch(request)
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _fetch(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        address = request.url.copy_with(path="/oauth/token", query=None)
        asking = httpx.Request("POST", address, data={"grant_type": "client_credentials"})
        response = yield next(self._basic.auth_flow(asking))
        if response.status_code in (400, 401):
            detail = "The client ID or the secret opens nothing (any more)."
            raise NotAuthenticated({"status": 401, "detail": detail})
        if not response.is_success:  # request another one
            raise httpx.NetworkError(f"no token: status {response.status_code}")
        try:
            self._token = str(response.json()["access_token"])
        except (ValueError, KeyError, TypeError):
            raise Unreachable("What answers there is not SkinCheck's API.") from None
