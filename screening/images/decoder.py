"""The child process of ``sandbox``, run as ``python -m screening.images.decoder``. Decodes pictures
and writes the results to standard output until its input ends, within limits that it sets before
the first one.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import sys
from typing import IO, Any

from ml.opening.pictures import InvalidImage
from screening.images import cleaning
from screening.images.sandbox import BEYOND, CPU_SECONDS, IDLE_SECONDS, MEMORY

PICTURES = 200
"""A child exits after this many pictures, which frees what its libraries leak."""


def main() -> None:
    asks, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keep library output off the result stream
    os.nice(10)  # requests for pages come first, then the reading of pictures
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    for _ in range(PICTURES):
        if not select.select([asks], [], [], IDLE_SECONDS)[0] or not (head := asks.readline()):
            return
        asked = json.loads(head)
        _allow_seconds(CPU_SECONDS)
        _answer(answers, asked["asked"], asks.read(asked["length"]), asked["options"])


def _allow_seconds(more: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + 1 + more
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def _answer(answers: IO[bytes], asked: str, data: bytes, options: dict[str, Any]) -> None:
    parts: list[bytes] = []
    try:
        told, parts = cleaning.answer(asked, data, **options)
    except InvalidImage as error:
        told = {"refused": str(error)}
    except MemoryError:
        told = {"refused": BEYOND}
    except Exception as error:
        told = {"failed": type(error).__name__}
    head = json.dumps(told | {"lengths": [len(part) for part in parts]}).encode()
    answers.write(len(head).to_bytes(4, "big") + head)
    for part in parts:
        answers.write(part)
    answers.flush()


if __name__ == "__main__":
    main()
