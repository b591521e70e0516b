"""What kind of fault an error is, and how long to wait after it.

A *transient* one (storage, network or database away, the disk full) passes: what it hit is tried
again with growing pauses, and no attempt is counted. Any other is of the item itself: it is marked
and stepped over.
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
"""About a day of pauses: after that a person is told."""

# Of a file that is not there, and of one that is there and cannot be what it should be.
_OF_THE_ITEM = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.ELOOP,
}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Of S3's libraries, by name: to import them takes longer than most processes need them.
_OF_THE_NETWORK = {"boto3", "botocore", "s3transfer", "urllib3"}

Result = TypeVar("Result")


def is_transient(error: BaseException | None) -> bool:
    """Whether the same may well succeed later."""
    match error:
        case OperationalError() | InterfaceError() | Busy() | TimeoutError() | ConnectionError():
            return True
        case SMTPServerDisconnected():
            return True
        case SMTPResponseException():
            return 400 <= error.smtp_code < 500
        case OSError():  # without a number: Pillow's word for what is no picture
            return error.errno is not None and error.errno not in _OF_THE_ITEM
    if error is None or not _is_of_the_network(error):
        return False
    answer = getattr(error, "response", None) or {}
    return bool(answer.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404)


def is_full(error: BaseException | None) -> bool:
    """Whether there is no room left on a disk."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, OperationalError) and "disk is full" in str(error)


def pause(setbacks: int, *, longest: timedelta = LONGEST_PAUSE) -> timedelta:
    """How long to wait after so many transient faults in a row: twice as long each time."""
    return min(FIRST_PAUSE * 2 ** min(setbacks - 1, 20), longest)


def insist(write: Callable[[], Result], *, seconds: float = 20) -> Result:
    """What ``write`` gives, tried again for about ``seconds`` while the database is away: what was
    found by long work is not thrown away for a blip. Within a transaction it is tried once."""
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
