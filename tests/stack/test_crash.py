"""Nothing is lost and nothing is read twice, whatever happens to the worker and to the broker."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.stack.installation import Installation, kill_group, pool_process, wait_until

pytestmark = pytest.mark.stack

IMAGES = 20


def states_of(installation: Installation) -> dict[str, int]:
    return dict(
        installation.query("SELECT state, count(*) FROM screening_prediction GROUP BY state")
    )


def stop_while_reading(installation: Installation, worker: subprocess.Popen[bytes]) -> None:
    """Freeze the pool process while the database says that it is reading."""
    process = pool_process(worker)
    for _ in range(500):
        os.kill(process, signal.SIGSTOP)
        states = states_of(installation)
        if states.get("running"):
            assert states["running"] == 1
            return
        os.kill(process, signal.SIGCONT)
        assert states.get("queued"), "all were read before one was caught in the middle"
        time.sleep(0.01)
    raise AssertionError("no reading was caught in the middle")


def test_a_killed_worker_and_an_emptied_broker_lose_nothing(installation: Installation) -> None:
    installation.python("-m", "tests.stack.add_images", str(IMAGES))
    assert states_of(installation) == {"queued": IMAGES}

    with installation.running("worker") as worker:
        wait_until(lambda: states_of(installation).get("succeeded", 0) >= 3, "three are read")
        stop_while_reading(installation, worker)
        kill_group(worker)
    [(caught,)] = installation.query("SELECT id FROM screening_prediction WHERE state = 'running'")
    left = states_of(installation)
    assert left["running"] == 1
    assert left["queued"] > 0
    finished = installation.query(
        "SELECT id, finished_at, attempts FROM screening_prediction WHERE state = 'succeeded'"
    )
    installation.empty_broker()

    with installation.running("worker"), installation.running("sweeper"):
        wait_until(lambda: states_of(installation) == {"succeeded": IMAGES}, "all are read")
        # A duplicate message must find nothing to do: give it time to arrive.
        time.sleep(2.5)

    assert states_of(installation) == {"succeeded": IMAGES}
    beats = "SELECT count(*) FROM screening_heartbeat WHERE name LIKE 'worker@%'"
    assert installation.query(beats) == [(1,)]
    assert installation.query(
        "SELECT count(DISTINCT image_id), count(*) FROM screening_prediction WHERE outcome <> ''"
    ) == [(IMAGES, IMAGES)]
    # The one being read was started again; none needed its last attempt.
    attempts = dict(installation.query("SELECT id, attempts FROM screening_prediction"))
    assert attempts[caught] == 2
    assert max(attempts.values()) <= 3
    # Readings finished before the crash were not repeated.
    after = installation.query("SELECT id, finished_at, attempts FROM screening_prediction")
    assert set(finished) <= set(after)


def test_an_upload_outlives_a_broker_that_is_away(installation: Installation) -> None:
    broker = installation.folder / "broker.sqlite3"
    broker.mkdir()  # no SQLite file can be opened there
    slowest = installation.python(
        "-m", "tests.stack.add_images", "2", **_unreachable_redis(installation)
    )
    assert float(slowest) < 5  # one attempt, not a series of them
    assert states_of(installation) == {"queued": 2}
    broker.rmdir()

    with installation.running("worker"), installation.running("sweeper"):
        wait_until(lambda: states_of(installation) == {"succeeded": 2}, "both are read")


def test_rows_are_read_while_the_broker_cannot_be_reached(installation: Installation) -> None:
    (installation.folder / "broker.sqlite3").mkdir()
    installation.environment |= _unreachable_redis(installation)
    installation.python("-m", "tests.stack.add_images", "3")
    with installation.running("sweeper"):
        wait_until(lambda: states_of(installation) == {"succeeded": 3}, "they are read", 120)


def _unreachable_redis(installation: Installation) -> dict[str, str]:
    if "REDIS_URL" not in installation.environment:
        return {}
    return {"REDIS_URL": "redis://127.0.0.1:1/0"}
