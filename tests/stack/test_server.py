"""``script/server`` from outside: it starts, recovers, reports errors, and stops completely."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.stack.installation import ROOT, Installation, wait_until
from tests.stack.server import PARTS, answers, is_replaced, main_process, parts, server

pytestmark = [pytest.mark.stack, pytest.mark.any_database]


def _refusal(installation: Installation, **environment: str) -> str:
    """The message of a second ``script/server`` that does not start."""
    ran = subprocess.run(
        [ROOT / "script" / "server"],
        env={**installation.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    return ran.stderr


def test_it_starts_mends_itself_and_stops_whole(installation: Installation, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with server(installation, output) as running:
        wait_until(lambda: "Stop: Ctrl-C" in output.read_text(), "it is ready", 180)
        address = f"http://127.0.0.1:{installation.port}"
        assert address in output.read_text()
        assert ("clinician@demo" in output.read_text()) == (
            "DATABASE_URL" not in installation.environment
        )
        assert answers(installation)
        if "DATABASE_URL" not in installation.environment:
            rules = "SELECT DISTINCT rule FROM screening_alert"
            wait_until(
                lambda: ("focal_change",) in installation.query(rules),
                "the demo's growing spot alerts by itself",
                120,
            )

        for part in PARTS:
            killed = main_process(installation, part)
            os.kill(killed, signal.SIGKILL)
            wait_until(
                lambda k=killed, p=part: is_replaced(installation, p, k), f"{part!r} is back"
            )
        wait_until(lambda: answers(installation), "it answers again")

        assert "running already" in _refusal(installation, PORT="1")
        taken, other = str(installation.port), str(tmp_path / "other")
        assert f"Port {taken} is taken" in _refusal(installation, PORT=taken, VAR_DIR=other)

        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
        wait_until(lambda: parts(installation) == [], "all parts have stopped")


def test_nothing_is_orphaned_when_the_supervisor_is_killed(
    installation: Installation, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with server(installation, output) as running:
        wait_until(lambda: "Stop: Ctrl-C" in output.read_text(), "it is ready", 180)
        os.kill(main_process(installation, "supervisord"), signal.SIGKILL)
        assert running.wait(60) != 0
        wait_until(lambda: parts(installation) == [], "all parts have stopped")
