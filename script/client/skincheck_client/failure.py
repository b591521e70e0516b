"""Failures of the command, with their exit codes."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    DONE = 0
    INCOMPLETE = 1  # some pictures were rejected, or not read in time
    USAGE = 2  # as in argparse
    REFUSED = 3  # no key, a key that is invalid or lacks permission, or an invalid request
    UNREACHABLE = 4  # no response after several attempts, or not from SkinCheck
    INTERRUPTED = 130


class Failure(Exception):
    """The message is for the user at the terminal."""

    def __init__(self, text: str, code: Exit) -> None:
        super().__init__(text)
        self.code = code


class Refused(Failure):
    """The site rejected the request. Nothing was done; the next picture may be accepted."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text, Exit.REFUSED)
        self.status = status
