"""The clock of every part is set back by an hour while all runs. libfaketime gives them their time,
and reads from a file by how much it is wrong; Debian has it as libfaketime."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skincheck_site import serve
from tests.stack.installation import Installation, installed, kill_group, wait_until
from tests.stack.test_crash import states_of, stop_while_reading

LIBRARIES = list(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
IMAGES = 8
HOUR = timedelta(hours=1)

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(not LIBRARIES, reason="Debian's package libfaketime is not there"),
]

SetBack = Callable[[], None]


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    file = tmp_path / "clock"
    file.write_text("+0")
    return file


@pytest.fixture
def installation(tmp_path: Path, clock: Path) -> Iterator[Installation]:
    with installed(
        tmp_path / "var",
        LD_PRELOAD=str(LIBRARIES[0]),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    ) as made:
        yield made


def test_every_image_is_read_once(installation: Installation, clock: Path) -> None:
    """One is being read by a worker that is killed, the others' bells are lost."""
    installation.python("-m", "tests.stack.add_images", str(IMAGES))
    with installation.running("sweeper"):
        with installation.running("worker") as worker:
            wait_until(lambda: states_of(installation).get("succeeded", 0) >= 2, "two are read")
            stop_while_reading(installation, worker)
            clock.write_text("-1h")
            kill_group(worker)
        installation.empty_broker()
        wait_until(lambda: "set back" in installation.log("sweeper"), "the sweep notices")
        with installation.running("worker"):
            installation.python("-m", "tests.stack.add_images", "2")
            wait_until(lambda: states_of(installation) == {"succeeded": IMAGES + 2}, "all are read")
    assert installation.query(
        "SELECT count(DISTINCT image_id), count(*) FROM screening_prediction WHERE outcome <> ''"
    ) == [(IMAGES + 2, IMAGES + 2)]
    [(most,)] = installation.query("SELECT max(attempts) FROM screening_prediction")
    assert most == 2  # the one that was being read


def test_the_sweep_reads_where_the_worker_is_gone(installation: Installation, clock: Path) -> None:
    with installation.running("worker"):
        wait_until(lambda: " ready." in installation.log("worker"), "the worker is ready")
    installation.python("-m", "tests.stack.add_images", "3")
    clock.write_text("-1h")
    with installation.running("sweeper"):
        wait_until(lambda: states_of(installation) == {"succeeded": 3}, "they are read")


def test_beat_goes_on(installation: Installation, clock: Path) -> None:
    def beats_at(moment: datetime) -> bool:
        found = installation.query("SELECT beat_at FROM screening_heartbeat WHERE name = 'beat'")
        moments = [datetime.fromisoformat(str(at)).replace(tzinfo=UTC) for (at,) in found]
        return any(abs(at - moment) < HOUR / 2 for at in moments)

    now = datetime.now(UTC)
    with installation.running("worker"), installation.running("beat"):
        wait_until(lambda: beats_at(now), "beat is heard of")
        clock.write_text("-1h")
        wait_until(lambda: beats_at(now - HOUR), "beat is heard of by the new time")


def test_slow_callers_are_turned_away(installation: Installation, clock: Path) -> None:
    installation.python("script/prepare.py")
    address = ("127.0.0.1", installation.port)
    with installation.running("web"):
        wait_until(lambda: "Serving" in installation.log("web"), "the web is ready")
        clock.write_text("-1h")
        with closing(socket.create_connection(address, timeout=1)) as slow:
            answer = b""
            for _ in range(10 * serve.HEAD_SECONDS):
                with suppress(BrokenPipeError):
                    slow.sendall(b"G")
                with suppress(TimeoutError):
                    answer = slow.recv(4096)
                    break
    assert b" 408 " in answer
