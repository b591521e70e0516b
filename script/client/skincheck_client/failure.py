"""Why the command ends otherwise than well, and the exit code that says so."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    DONE = 0
    INCOMPLETE = 1  # some pictures were refused, or not read in time
    USAGE = 2  # as argparse has it
    REFUSED = 3  # no key, a key that opens nothing or not this, or a request that is wrong
    UNREACHABLE = 4  # no answer after several attempts, or not SkinCheck's
    INTERRUPTED = 130


class Failure(Exception):
    """Its text is for the person at the terminal."""

    def __init__(self, text: str, code: Exit) -> None:
        super().__init__(text)
        self.code = code


class Refused(Failure):
    """The site said no. Nothing was done, and the next picture may fare better."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text, Exit.REFUSED)
        self.status = status
