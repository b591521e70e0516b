"""Signatures that access to the database alone cannot forge: they need the secret key.

Exports are signed with Ed25519, so another installation can check them with the public key.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from django.conf import settings

# Keep each kind of signature apart from others made with the secret key.
REVIEW = b"skincheck.review.1"
SEAL = b"skincheck.review.seal.1"
RECEIPT = b"skincheck.erasure.receipt.1"
EXPORT = b"skincheck.export.1"
AUDIT = b"skincheck.audit.1"
AUDIT_CONTENT = b"skincheck.audit.content.1"
AUDIT_ERASED = b"skincheck.audit.erased.1"
AUDIT_PART = b"skincheck.audit.part.1"
AUDIT_THUMBNAIL = b"skincheck.audit.thumbnail.1"
AUDIT_VALUE = b"skincheck.audit.value.1"

Content = Mapping[str, Any]


def sign(content: Content, purpose: bytes = REVIEW) -> str:
    """HMAC-SHA256 in 64 hexadecimal digits."""
    return _signature(content, settings.SECRET_KEY, purpose)


def holds(content: Content, signature: str, purpose: bytes = REVIEW) -> bool:
    """Whether the signature matches this content under the secret key or one of its
    predecessors.
    """
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(hmac.compare_digest(_signature(content, key, purpose), signature) for key in keys)


def sign_export(content: Content) -> str:
    """Ed25519 (RFC 8032) in 128 hexadecimal digits."""
    return _export_key(settings.SECRET_KEY).sign(_written(content)).hex()


def export_keys() -> list[str]:
    """The public keys of this site's exports in 64 hexadecimal digits, the current one first."""
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [_export_key(one).public_key().public_bytes_raw().hex() for one in secrets]


def export_holds(content: Content, signature: str, key: str) -> bool:
    """Whether the owner of this public key signed exactly this content."""
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(signature), _written(content))
    except (InvalidSignature, ValueError):
        return False
    return True


def digest_of_value(text: str) -> str:
    """A keyed digest in 16 hexadecimal digits. It reveals only whether two values are equal."""
    key = hmac.digest(settings.SECRET_KEY.encode(), AUDIT_VALUE, sha256)
    return hmac.digest(key, text.encode(), sha256).hex()[:16]


def _signature(content: Content, secret: str, purpose: bytes) -> str:
    key = hmac.digest(secret.encode(), purpose, sha256)
    return hmac.digest(key, _written(content), sha256).hex()


def _export_key(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hmac.digest(secret.encode(), EXPORT, sha256))


def _written(content: Content) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
