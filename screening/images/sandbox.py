"""Decoding of untrusted files in processes that can be killed, with limits on all resources.

A plain subprocess with pipes, not multiprocessing or a pool built on it: those run the main module
again in each child, here Celery's or the web server's, and Celery's own processes may not have such
children. A child has no access to Django or any secret, and answers in JSON and bytes: nothing that
a compromised decoder returns is ever executed. Children stay alive for the next picture, so it
costs milliseconds instead of a Python start.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, cast

from ml.opening.limits import MAX_PIXELS
from ml.opening.pictures import InvalidImage
from screening.errors import Busy

logger = logging.getLogger(__name__)

AT_ONCE = 2
"""Children per process, which is also the number of pictures decoded at once. The web server gives
one caller a single thread for uploads, so another's picture need not wait for it.
"""
PATIENCE = 40.0
"""Seconds to wait for a child before reporting that all are busy."""
MEMORY = 800_000_000
"""Bytes of address space: 120 million are used before the first picture. A HEIC of 48 megapixels,
the largest that phones send apart from JPEG, takes 650 million in all.
"""
CPU_SECONDS, WALL_SECONDS = 12, 60
IDLE_SECONDS = 300
"""A child exits after this long without work."""
ENDING_SECONDS = 10
"""Seconds that a child may take to exit after closing its output: on a busy machine it takes
longer.
"""

BEYOND = (
    "Opening this picture takes too much time or memory. Export it as an ordinary JPEG and add "
    "that."
)
_ROOT = Path(__file__).parents[2]
_MOST = 3 * MAX_PIXELS
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"}


class _Died(Exception):
    pass


def run(asked: str, data: bytes, **options: Any) -> tuple[dict[str, Any], list[bytes]]:
    """``cleaning.answer`` in a child. options: JSON types. Raises Busy, or InvalidImage, also for
    files that exceed the limits.
    """
    if not _turns.acquire(timeout=PATIENCE):
        raise Busy
    try:
        told, parts = _answered({"asked": asked, "options": options}, data)
    except _Died:
        raise InvalidImage(BEYOND) from None
    finally:
        _turns.release()
    if "failed" in told:  # only its name: its text may contain personal data from the file
        logger.error("decoding failed with %s", told["failed"])
        raise InvalidImage(BEYOND)
    if "refused" in told:
        raise InvalidImage(told["refused"])
    return told, parts


def _answered(asked: dict[str, Any], data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    was_killed = False
    while True:
        child, is_new = (_idle.pop(), False) if _idle else (_Child(), True)
        try:
            answered = child.ask(asked, data)
        except BaseException as error:
            child.kill()
            if isinstance(error, _Died) and not is_new and child.ended_by_itself:
                continue  # it had been idle for too long
            if isinstance(error, _Died) and child.was_killed and not was_killed:
                was_killed = True  # a single time need not be the picture's fault
                continue
            raise
        _idle.append(child)
        return answered


class _Child:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "screening.images.decoder"],
            cwd=_ROOT,
            env=_ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries print file contents
            bufsize=0,
        )
        self._ended: int | None = None
        self._hung_up = False
        self._to: IO[bytes] = cast(IO[bytes], self._process.stdin)
        self._from: IO[bytes] = cast(IO[bytes], self._process.stdout)

    def ask(self, asked: dict[str, Any], data: bytes) -> tuple[dict[str, Any], list[bytes]]:
        """Raises _Died."""
        self._ends = time.monotonic() + WALL_SECONDS
        head = json.dumps(asked | {"length": len(data)}).encode() + b"\n"
        try:
            for part in (head, data):
                view = memoryview(part)
                while view:
                    view = view[self._to.write(view) :]
        except OSError:
            self._hung_up = True
            raise _Died from None
        told = json.loads(self._read(int.from_bytes(self._read(4), "big")))
        return told, [self._read(length) for length in told.pop("lengths", [])]

    def _read(self, length: int) -> bytes:
        if length > _MOST:
            raise _Died
        data = bytearray()
        while len(data) < length:
            left = self._ends - time.monotonic()
            ready, _, _ = select.select([self._from], [], [], max(0, left))
            part = self._from.read(min(length - len(data), 1 << 20)) if ready else b""
            if not part:
                self._hung_up = bool(ready)
                raise _Died
            data += part
        return bytes(data)

    @property
    def ended_by_itself(self) -> bool:
        return self._ended == 0

    @property
    def was_killed(self) -> bool:
        """Whether it was killed from outside: for lack of memory, or by hand."""
        return self._ended == -signal.SIGKILL

    def kill(self) -> None:
        self._to.close()
        self._from.close()
        try:
            self._ended = self._process.wait(timeout=ENDING_SECONDS if self._hung_up else 0.2)
        except subprocess.TimeoutExpired:
            self._ended = None
            self._process.kill()
            self._process.wait()


def _start_anew() -> None:
    """Children belong to the process that started them; a fork starts with none."""
    global _turns, _idle
    _turns, _idle = threading.BoundedSemaphore(AT_ONCE), []


def _end_all() -> None:
    while _idle:
        _idle.pop().kill()


_turns: threading.BoundedSemaphore
_idle: list[_Child]
_start_anew()
os.register_at_fork(after_in_child=_start_anew)
atexit.register(_end_all)
