"""Metadata that other systems read before they request a token: OAuth's and SMART's."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import reverse

from accounts import public_keys, scopes

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")


def issuer() -> str:
    return settings.SITE_URL.rstrip("/")


def token_address() -> str:
    return f"{issuer()}{reverse('oauth_token')}"


def revocation_address() -> str:
    return f"{issuer()}{reverse('oauth_revoke')}"


def server() -> dict[str, Any]:
    """RFC 8414. Applications act for a clinic without a user's consent page, so there is neither an
    authorization endpoint nor a response type.
    """
    algorithms = sorted(public_keys.ALGORITHMS.values())
    return {
        "issuer": issuer(),
        "token_endpoint": token_address(),
        "revocation_endpoint": revocation_address(),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "scopes_supported": [*scopes.known(), *scopes.of_fhir()],
        "service_documentation": f"{issuer()}{reverse('api:docs')}",
    }


def smart() -> dict[str, Any]:
    """SMART App Launch 2.2, of which only Backend Services is supported."""
    told = server()
    del told["issuer"]  # there is no OpenID Connect
    told["scopes_supported"] = scopes.of_fhir()
    return told | {
        "capabilities": [
            "client-confidential-asymmetric",
            "client-confidential-symmetric",
            "permission-v1",
            "permission-v2",
        ],
    }
