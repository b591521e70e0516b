"""Storage of a unit's last part.

What was read is shown even if the database accepts no writes: nobody should miss a warning because
of the log. The part then waits in memory, and in the text log, for the next request of this
process.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import Error, connection

from screening.models import AuditPart
from screening.operations.transience import is_transient

logger = logging.getLogger(__name__)

LOCKED_SECONDS = 1
"""Seconds that a page waits for SQLite's lock to store its part."""
MOST_WAITING = 1000
"""With more waiting parts, the process refuses to show anything: 503, to be tried again."""

_waiting: deque[AuditPart] = deque()


def put(part: AuditPart) -> None:
    """Insert the part, and those that wait.

    Raises the database's error if too many wait, or if it is not transient; the part is then in the
    text log. A page is not shown then, and the rest of a stream is not sent.
    """
    parts = [part]
    try:
        while True:
            parts.append(_waiting.popleft())
    except IndexError:
        pass
    try:
        with _briefly():
            if len(parts) > 1:
                AuditPart.objects.bulk_create(parts, ignore_conflicts=True)
            else:
                part.save(force_insert=True)
    except Error as error:
        _waiting.extend(parts[1:])
        content = json.dumps({"unit": str(part.unit), "at": part.at.isoformat(), **part.content})
        if not is_transient(error) or len(_waiting) >= MOST_WAITING:
            logger.error("the audit log cannot be written; this is in no entry: %s", content)
            raise
        logger.error("the audit log cannot be written; this waits in memory: %s", content)
        _waiting.append(part)


@contextmanager
def _briefly() -> Iterator[None]:
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    usual = settings.DATABASES["default"].get("OPTIONS", {}).get("timeout", 5)
    connection.connection.execute(f"PRAGMA busy_timeout = {1000 * LOCKED_SECONDS}")
    try:
        yield
    finally:
        connection.connection.execute(f"PRAGMA busy_timeout = {1000 * usual}")
