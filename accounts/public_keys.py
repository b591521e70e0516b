"""An application's public keys, as a JSON Web Key Set (RFC 7517) or its URL."""

from __future__ import annotations

from typing import Any, TypedDict, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.core.exceptions import ValidationError

from skincheck_site import untrusted_json

LARGEST = 64 * 1024
"""The maximum number of bytes of a key set."""
MOST_KEYS = 20
RSA_BITS = range(2048, 8193)
ALGORITHMS = {"RSA": "RS384", "EC": "ES384"}
"""By key type, the one signature algorithm (SMART App Launch 2.2, asymmetric keys)."""
_CURVE = "P-384"
_PUBLIC = ("kty", "kid", "n", "e", "crv", "x", "y")
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
NO_KEYS = (
    "This is no key set: give a JSON Web Key Set with a public RSA key (2048 bits or more) or an "
    "EC key on P-384, each with a kid, or the https address of one."
)


class Keys(TypedDict):
    """The two fields of an application, one of which is empty."""

    jwks: list[dict[str, str]]
    jwks_url: str


def given(text: str) -> Keys:
    """Parse an admin's input: an https URL, a key set, or nothing. Raises ValidationError."""
    text = text.strip()
    if not text.startswith(("{", "[")):
        return {"jwks": [], "jwks_url": text}
    found = of_set(text.encode(errors="replace"))
    if any(name in key for key in _listed(text.encode(errors="replace")) for name in _PRIVATE):
        raise ValidationError(
            {
                "keys": "This set has private or secret keys. Make new ones, and give their public "
                "halves only."
            }
        )
    if not found:
        raise ValidationError({"keys": NO_KEYS})
    return {"jwks": found, "jwks_url": ""}


def of_set(body: bytes) -> list[dict[str, str]]:
    """The keys of a set with which an application can sign, without the other members of
    the set.
    """
    keys = [key for key in _listed(body)[:MOST_KEYS] if _is_usable(key)]
    return [{name: key[name] for name in _PUBLIC if name in key} for key in keys]


def public_key(key: dict[str, str]) -> RSAPublicKey | EllipticCurvePublicKey:
    """The key that verifies signatures. Raises jwt.PyJWTError or ValueError."""
    found = jwt.PyJWK(key, algorithm=ALGORITHMS[key["kty"]]).key
    return cast(RSAPublicKey | EllipticCurvePublicKey, found)


def _listed(body: bytes) -> list[dict[str, Any]]:
    if len(body) > LARGEST:
        return []
    try:
        keys = untrusted_json.loads(body)["keys"]
    except (ValueError, TypeError, KeyError):
        return []
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []


def _is_usable(key: dict[str, Any]) -> bool:
    texts = [key.get(name, "") for name in _PUBLIC]
    if not all(isinstance(text, str) for text in texts) or not 0 < len(key.get("kid", "")) <= 200:
        return False
    if key.get("use", "sig") != "sig" or "k" in key or key.get("kty") not in ALGORITHMS:
        return False
    if key.get("alg", ALGORITHMS[key["kty"]]) != ALGORITHMS[key["kty"]]:
        return False
    try:
        found = public_key({name: key[name] for name in _PUBLIC if name in key})
    except (jwt.PyJWTError, ValueError):
        return False
    if isinstance(found, RSAPublicKey):
        return found.key_size in RSA_BITS
    return isinstance(found, EllipticCurvePublicKey) and key["crv"] == _CURVE
