"""A clinic's identity provider, from one URL: ``https://client:secret@its-address/path``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

KEY = "clinic"
"""Its name in our own URLs: ``/accounts/oidc/clinic/login/``."""


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """name: its host, as shown to people. origin: for the Content-Security-Policy."""

    name: str
    origin: str
    providers: dict[str, Any]


def of(address: str) -> IdentityProvider:
    """Parse the URL. Raises ImproperlyConfigured without client, secret or host."""
    parts = urlsplit(address)
    if not (parts.scheme in ("https", "http") and parts.hostname):
        raise ImproperlyConfigured("OIDC_URL is https://client:secret@address-of-the-provider.")
    if not (parts.username and parts.password):
        raise ImproperlyConfigured("OIDC_URL lacks the client and its secret, before the @.")
    host = parts.netloc.rpartition("@")[2]
    app = {
        "provider_id": KEY,
        "name": parts.hostname,
        "client_id": unquote(parts.username),
        "secret": unquote(parts.password),
        "settings": {
            "server_url": f"{parts.scheme}://{host}{parts.path}",
            "oauth_pkce_enabled": True,
        },
    }
    origin = f"{parts.scheme}://{host}"
    return IdentityProvider(parts.hostname, origin, {"openid_connect": {"APPS": [app]}})
