"""Transient errors, and how long to wait after one.

A *transient* error (storage, network or database unavailable, disk full) passes: the item is
retried with growing pauses, and no attempt is counted. Any other error is due to the item itself,
which is marked as failed and skipped.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from datetime import timedelta
from smtplib import SMTPResponseException, SMTPServerDisconnected
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from screening.errors import Busy

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=10)
MAX_SETBACKS = 150
"""About a day of pauses; after that the user is told."""

# A missing file, or a file that cannot be what it should be.
_OF_THE_ITEM = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.ELOOP,
}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Exceptions of S3's libraries, by name: importing them takes longer than most processes need them.
_OF_THE_NETWORK = {"boto3", "botocore", "s3transfer", "urllib3"}

Result = TypeVar("Result")


def is_transient(error: BaseException | None) -> bool:
    """Whether a retry of the same operation may succeed."""
    match error:
        case OperationalError() | InterfaceError() | Busy() | TimeoutError() | ConnectionError():
            return True
        case SMTPServerDisconnected():
            return True
        case SMTPResponseException():
            return 400 <= error.smtp_code < 500
        case OSError():  # no errno: Pillow's error for a file that is not a picture
            return error.errno is not None and error.errno not in _OF_THE_ITEM
    if error is None or not _is_of_the_network(error):
        return False
    answer = getattr(error, "response", None) or {}
    return bool(answer.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404)


def is_full(error: BaseException | None) -> bool:
    """Whether the disk is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, OperationalError) and "disk is full" in str(error)


def pause(setbacks: int, *, longest: timedelta = LONGEST_PAUSE) -> timedelta:
    """How long to wait after this many transient errors in a row: twice as long each time."""
    return min(FIRST_PAUSE * 2 ** min(setbacks - 1, 20), longest)


def insist(write: Callable[[], Result], *, seconds: float = 20) -> Result:
    """Call ``write`` and return its result, retrying for about ``seconds`` while the database is
    unavailable, so that a short outage does not discard long work. Within a transaction it runs
    once.
    """
    waited, wait = 0.0, 0.5
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or waited >= seconds:
                raise
            connection.close()
        time.sleep(wait)
        waited, wait = waited + wait, wait * 2


def _is_of_the_network(error: BaseException) -> bool:
    return any(kind.__module__.partition(".")[0] in _OF_THE_NETWORK for kind in type(error).mro())
