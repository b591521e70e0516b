"""Signatures that cannot be forged with the database alone: they need the secret key."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256

from django.conf import settings

# Keeps this kind of signature apart from others made with the secret key.
_PURPOSE = b"skincheck.review.1"

Content = Mapping[str, str | int | None]


def sign(content: Content) -> str:
    """HMAC-SHA256 in 64 hexadecimal digits."""
    return _signature(content, settings.SECRET_KEY)


def holds(content: Content, signature: str) -> bool:
    """Whether the signature matches this content under the secret key or one of its
    predecessors.
    """
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(hmac.compare_digest(_signature(content, key), signature) for key in keys)


def _signature(content: Content, secret: str) -> str:
    key = hmac.digest(secret.encode(), _PURPOSE, sha256)
    written = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, written.encode(), sha256).hex()
