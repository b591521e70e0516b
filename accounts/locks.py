"""Locks on things without a row."""

from __future__ import annotations

from hashlib import sha256

from django.db import connection


def lock(name: str) -> None:
    """Lock this name until the transaction ends. SQLite has one writer at a time anyway."""
    if connection.vendor == "postgresql":
        key = int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
