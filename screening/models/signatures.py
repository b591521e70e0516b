"""Signatures that cannot be forged with the database alone: they need the secret key."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from django.conf import settings

# Keep each kind of signature apart from others made with the secret key.
REVIEW = b"skincheck.review.1"
SEAL = b"skincheck.review.seal.1"
RECEIPT = b"skincheck.erasure.receipt.1"
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


def digest_of_value(text: str) -> str:
    """A keyed digest in 16 hexadecimal digits: whether two values are equal, and nothing else."""
    key = hmac.digest(settings.SECRET_KEY.encode(), AUDIT_VALUE, sha256)
    return hmac.digest(key, text.encode(), sha256).hex()[:16]


def _signature(content: Content, secret: str, purpose: bytes) -> str:
    key = hmac.digest(secret.encode(), purpose, sha256)
    written = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, written.encode(), sha256).hex()
