"""Encryption of short secrets that must be read again, with a key derived from SECRET_KEY. Former
keys still decrypt.
"""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

Undecipherable = InvalidToken
"""None of the configured keys opens the text."""


def encrypt(text: str, *, purpose: str) -> str:
    return _keys(purpose).encrypt(text.encode()).decode()


def decrypt(encrypted: str, *, purpose: str) -> str:
    """Decrypt the text. Raises Undecipherable."""
    return _keys(purpose).decrypt(encrypted.encode()).decode()


def _keys(purpose: str) -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet(
        [Fernet(base64.urlsafe_b64encode(_derived(one, purpose))) for one in secrets]
    )


def _derived(secret: str, purpose: str) -> bytes:
    """A 32-byte key, derived as in RFC 5869 with SHA-256."""
    return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode())
