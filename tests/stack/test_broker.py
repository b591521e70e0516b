"""The broker's file is removed, damaged and locked at runtime: every image is read exactly once,
including those added meanwhile.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.stack.installation import Installation, pool_process, wait_until
from tests.stack.test_crash import states_of

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif("REDIS_URL" in os.environ, reason="the broker is not the embedded one"),
]

IMAGES = 12


def _files(installation: Installation) -> list[Path]:
    return list(installation.folder.glob("broker.sqlite3*"))


def _remove(installation: Installation) -> None:
    for file in _files(installation):
        file.unlink()


def _overwrite(installation: Installation) -> None:
    for file in _files(installation):
        file.write_bytes(os.urandom(20_000))


def _replace_by_a_folder(installation: Installation) -> None:
    _remove(installation)
    (installation.folder / "broker.sqlite3").mkdir()


def _add(installation: Installation, count: int) -> None:
    installation.python("-m", "tests.stack.add_images", str(count))


def _assert_each_was_read_once(installation: Installation, count: int) -> None:
    assert states_of(installation) == {"succeeded": count}
    assert installation.query(
        "SELECT count(DISTINCT image_id), count(*), max(attempts) FROM screening_prediction"
    ) == [(count, count, 1)]


@pytest.mark.parametrize("spoil", [_remove, _overwrite])
def test_under_load(installation: Installation, spoil: Callable[[Installation], None]) -> None:
    _add(installation, IMAGES)
    with installation.running("worker") as worker, installation.running("sweeper"):
        for left in (IMAGES - 2, IMAGES - 5, IMAGES - 8):
            wait_until(
                lambda n=left: states_of(installation).get("queued", 0) <= n, "some are read"
            )
            spoil(installation)
        adding = subprocess.Popen(
            [sys.executable, "-m", "tests.stack.add_images", str(IMAGES)],
            env=installation.environment,
        )
        time.sleep(1)
        spoil(installation)
        assert adding.wait(60) == 0
        wait_until(lambda: states_of(installation) == {"succeeded": 2 * IMAGES}, "all are read", 90)
        # The worker receives messages again.
        assert worker.poll() is None
        os.kill(pool_process(worker), 0)
        heard = installation.log("worker").count("received")
        _add(installation, 1)
        wait_until(lambda: installation.log("worker").count("received") > heard, "it hears", 30)
        wait_until(
            lambda: states_of(installation) == {"succeeded": 2 * IMAGES + 1}, "it is read", 30
        )
    _assert_each_was_read_once(installation, 2 * IMAGES + 1)


def test_without_any_broker(installation: Installation) -> None:
    """The worker exits, so that its supervisor restarts it; rows are read without it."""
    with installation.running("worker") as worker, installation.running("sweeper"):
        wait_until(lambda: " ready." in installation.log("worker"), "the worker is ready")
        _replace_by_a_folder(installation)
        assert worker.wait(60) != 0
        _add(installation, 3)
        # The worker counts as dead after three missed heartbeats.
        wait_until(lambda: states_of(installation) == {"succeeded": 3}, "they are read", 120)
        (installation.folder / "broker.sqlite3").rmdir()
        with installation.running("worker"):
            _add(installation, 1)
            wait_until(lambda: states_of(installation) == {"succeeded": 4}, "it is read", 60)
    _assert_each_was_read_once(installation, 4)


def test_while_it_is_locked(installation: Installation) -> None:
    with installation.running("worker") as worker, installation.running("sweeper"):
        wait_until(lambda: " ready." in installation.log("worker"), "the worker is ready")
        path = installation.folder / "broker.sqlite3"
        with closing(sqlite3.connect(path, isolation_level=None)) as locking:
            locking.execute("BEGIN EXCLUSIVE")
            _add(installation, 3)
            wait_until(lambda: states_of(installation) == {"succeeded": 3}, "they are read", 60)
            locking.execute("ROLLBACK")
        assert worker.poll() is None
        heard = installation.log("worker").count("received")
        _add(installation, 1)
        wait_until(lambda: installation.log("worker").count("received") > heard, "it hears", 30)
        wait_until(lambda: states_of(installation) == {"succeeded": 4}, "it is read", 30)
    _assert_each_was_read_once(installation, 4)


def test_a_worker_that_hangs_is_stood_in_for(installation: Installation) -> None:
    """It sends heartbeats but reads nothing: the sweep starts its rows after a lease."""
    with installation.running("worker") as worker, installation.running("sweeper"):
        wait_until(lambda: " ready." in installation.log("worker"), "the worker is ready")
        os.kill(pool_process(worker), signal.SIGSTOP)
        _add(installation, 3)
        wait_until(lambda: states_of(installation) == {"succeeded": 3}, "they are read", 60)
    _assert_each_was_read_once(installation, 3)
