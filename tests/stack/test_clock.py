"""The clock of every process is set back by an hour while all of them run.

``clock.c`` stands between the processes and the system's clock. Only the time of day changes:
durations are measured with another clock, which nobody can set.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skincheck_site import serve
from tests.stack.installation import Installation, installed, kill_group, pool_process, wait_until
from tests.stack.test_crash import states_of, stop_while_reading

IMAGES = 8
HOUR = timedelta(hours=1)

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler is installed"),
]


class Clock:
    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set_back(timedelta())
        library = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self._file)}

    def set_back(self, by: timedelta) -> None:
        self._file.write_text(str(-round(by.total_seconds())))


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def installation(tmp_path: Path, clock: Clock) -> Iterator[Installation]:
    with installed(tmp_path / "var", **clock.environment) as made:
        yield made


def test_every_image_is_read_once(installation: Installation, clock: Clock) -> None:
    """One is being read by a worker that is killed, the others' bells are lost."""
    installation.environment["PREDICTION_LEASE_SECONDS"] = "30"  # the sweep does not stand in
    with installation.running("worker") as worker:
        wait_until(lambda: " ready." in installation.log("worker"), "the worker is ready")
        with installation.running("sweeper"):
            beats = "SELECT count(*) FROM screening_heartbeat WHERE name = 'sweeper'"
            wait_until(lambda: installation.query(beats) == [(1,)], "the sweep has begun")
            os.kill(pool_process(worker), signal.SIGSTOP)
            installation.python("-m", "tests.stack.add_images", str(IMAGES))
            stop_while_reading(installation, worker)
            clock.set_back(HOUR)
            kill_group(worker)
            installation.empty_broker()
            wait_until(lambda: "set back" in installation.log("sweeper"), "the sweep notices")
            with installation.running("worker"):
                installation.python("-m", "tests.stack.add_images", "2")
                wait_until(
                    lambda: states_of(installation) == {"succeeded": IMAGES + 2}, "all are read"
                )
    assert installation.query(
        "SELECT count(DISTINCT image_id), count(*) FROM screening_prediction WHERE outcome <> ''"
    ) == [(IMAGES + 2, IMAGES + 2)]
    [(most,)] = installation.query("SELECT max(attempts) FROM screening_prediction")
    assert most == 2  # the one that was being read


def test_the_sweep_reads_where_the_worker_is_gone(installation: Installation, clock: Clock) -> None:
    with installation.running("worker"):
        wait_until(lambda: " ready." in installation.log("worker"), "the worker is ready")
    installation.python("-m", "tests.stack.add_images", "3")
    clock.set_back(HOUR)
    with installation.running("sweeper"):
        wait_until(lambda: states_of(installation) == {"succeeded": 3}, "they are read")


def test_beat_goes_on(installation: Installation, clock: Clock) -> None:
    def beats_at(moment: datetime) -> bool:
        found = installation.query("SELECT beat_at FROM screening_heartbeat WHERE name = 'beat'")
        moments = [datetime.fromisoformat(str(at)).replace(tzinfo=UTC) for (at,) in found]
        return any(abs(at - moment) < HOUR / 2 for at in moments)

    now = datetime.now(UTC)
    with installation.running("worker"), installation.running("beat"):
        wait_until(lambda: beats_at(now), "beat is heard of")
        clock.set_back(HOUR)
        wait_until(lambda: beats_at(now - HOUR), "beat is heard of by the new time")


def test_slow_callers_are_turned_away(installation: Installation, clock: Clock) -> None:
    address = ("127.0.0.1", installation.port)
    with installation.running("web"):
        wait_until(lambda: "Serving" in installation.log("web"), "the web is ready")
        clock.set_back(HOUR)
        with closing(socket.create_connection(address, timeout=1)) as slow:
            answer = b""
            for _ in range(10 * serve.HEAD_SECONDS):
                with suppress(BrokenPipeError):
                    slow.sendall(b"G")
                with suppress(TimeoutError):
                    answer = slow.recv(4096)
                    break
    assert b" 408 " in answer
