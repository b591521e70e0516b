"""The exceptions of SkinCheck, in one place.

    SkinCheckError
    ├── Refused              what was sent cannot be taken; the text is for the person who sent it
    │   ├── ArchiveRefused       an upload of many pictures, as a whole
    │   ├── PictureRefused       one picture of it
    │   ├── RowRefused           one line of its manifest
    │   ├── SearchError          a FHIR search
    │   └── ForbiddenTarget      an address of another system
    ├── Transient            nothing is wrong with what was asked: try again
    │   ├── Busy                 every process that opens pictures is at work
    │   ├── InProgress           the same request is being answered
    │   ├── NotSent              no answer came from another system
    │   └── StorageAway          the folder or bucket of the pictures is not there
    ├── Overtaken            someone else came first, and nothing was done
    │   ├── Changed              a record was edited since it was looked at
    │   ├── OtherRequest         an idempotency key was used for something else
    │   └── LeaseLost            another worker has taken over
    ├── ReadingError         why an image could not be read; the text is for the person
    └── Unreadable           what is stored does not open
        ├── Damaged              it was changed, or cut off
        ├── KeyMissing           the operator's key is not set: nothing is lost, put it back
        └── KeyDestroyed         it was erased with its key, or its key is lost for good

The write path refuses by Django's ``ValidationError`` (``duplicates.SamePicture`` and
``quota.NoRoom`` are) and ``PermissionDenied``. ``ml.opening.pictures.InvalidImage`` says what is
wrong with a picture: ``ml`` knows none of these. How errors are answered over HTTP is in
``screening.api.http.errors``.

Without Django: the processes that open pictures load this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SkinCheckError(Exception):
    pass


class Refused(SkinCheckError, ValueError):
    pass


class ArchiveRefused(Refused):
    pass


class PictureRefused(Refused):
    pass


class RowRefused(Refused):
    """problems: [column, reason] pairs."""

    def __init__(self, problems: list[list[str]]) -> None:
        super().__init__(problems)
        self.problems = problems


class SearchError(Refused):
    """code: FHIR's IssueType."""

    def __init__(self, text: str, code: str = "value") -> None:
        super().__init__(text)
        self.code = code


class ForbiddenTarget(Refused):
    pass


class Transient(SkinCheckError):
    pass


class Busy(Transient):
    pass


class InProgress(Transient):
    pass


class NotSent(Transient):
    """The text is for the person whose address it is."""


class StorageAway(Transient, OSError):
    """With ENODEV. No file counts as lost while it is away."""


class AssertionRefused(SkinCheckError):
    """The text is for the other system."""


class Overtaken(SkinCheckError):
    pass


class Changed(Overtaken):
    """now: the present values by field, only where they are neither what was seen nor what is
    wanted.
    """

    def __init__(self, now: Mapping[str, Any]) -> None:
        super().__init__("The record was changed in the meantime.")
        self.now = now


class OtherRequest(Overtaken):
    pass


class LeaseLost(Overtaken):
    pass


class ReadingError(SkinCheckError):
    pass


class Unreadable(SkinCheckError, OSError):
    pass


class Damaged(Unreadable):
    """An OSError without a number: a retry does not help."""


class KeyMissing(Unreadable):
    """With ENOKEY, which passes once the operator puts the key back."""


class KeyDestroyed(Unreadable, FileNotFoundError):
    """With ENOENT, like a missing file: the content cannot be recovered."""
