"""Failures of the command, with their exit codes."""

from __future__ import annotations

from enum import IntEnum

from skincheck_client.errors import NotAuthenticated, NotFinished, Problem, SkinCheckError


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


def failure_of(error: SkinCheckError) -> Failure:
    match error:
        case NotAuthenticated():
            return Failure("The key opens nothing (any more). Run: skincheck login", Exit.REFUSED)
        case NotFinished():
            text = "It is not read yet. The picture is kept and will be: skincheck watch"
            return Failure(text, Exit.INCOMPLETE)
        case Problem(status=status) if status < 500:
            return Failure(str(error), Exit.REFUSED)
    return Failure(str(error), Exit.UNREACHABLE)
