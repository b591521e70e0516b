"""``script/server`` from outside: it starts, recovers, reports errors, and stops completely."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stack.installation import ROOT, Installation, kill_group, wait_until

pytestmark = pytest.mark.stack


@contextmanager
def _server(installation: Installation, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as file:
        process = subprocess.Popen(
            [ROOT / "script" / "server"],
            cwd="/",
            env={**installation.environment, "PORT": str(installation.port)},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for pid in _parts(installation):
            os.kill(pid, signal.SIGKILL)
        kill_group(process)


def _parts(installation: Installation) -> list[int]:
    """Every living process that was started with this installation's folder."""
    mark = f"VAR_DIR={installation.folder}\0".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environment.read_bytes():
                found.append(int(environment.parent.name))
        except (ProcessLookupError, FileNotFoundError, PermissionError):
            continue
    return found


def _answers(installation: Installation) -> bool:
    try:
        url = f"http://127.0.0.1:{installation.port}/health/ready"
        with urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False


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


def _child_pid(installation: Installation, word: str) -> int:
    """The main process of one part: the oldest whose command line contains ``word``."""
    return min(
        pid
        for pid in _parts(installation)
        if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    )


def test_it_starts_mends_itself_and_stops_whole(installation: Installation, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with _server(installation, output) as server:
        wait_until(lambda: "Stop: Ctrl-C" in output.read_text(), "it is ready", 180)
        address = f"http://127.0.0.1:{installation.port}"
        assert address in output.read_text()
        assert ("clinician@demo" in output.read_text()) == (
            "DATABASE_URL" not in installation.environment
        )
        assert _answers(installation)
        if "DATABASE_URL" not in installation.environment:
            rules = "SELECT DISTINCT rule FROM screening_alert"
            wait_until(
                lambda: ("asymmetric_enlargement",) in installation.query(rules),
                "the demo's growing spot alerts by itself",
                120,
            )

        queues = ("--queues\0interactive", "--queues\0webhooks")
        for part in ("skincheck_site.serve", *queues, "skincheck_site\0beat", "manage.py\0sweep"):
            killed = _child_pid(installation, part)
            os.kill(killed, signal.SIGKILL)
            wait_until(
                lambda k=killed, p=part: _is_replaced(installation, p, k), f"{part!r} is back"
            )
        wait_until(lambda: _answers(installation), "it answers again")

        assert "running already" in _refusal(installation, PORT="1")
        taken, other = str(installation.port), str(tmp_path / "other")
        assert f"Port {taken} is taken" in _refusal(installation, PORT=taken, VAR_DIR=other)

        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        assert _parts(installation) == []


def test_nothing_is_orphaned_when_the_supervisor_is_killed(
    installation: Installation, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with _server(installation, output) as server:
        wait_until(lambda: "Stop: Ctrl-C" in output.read_text(), "it is ready", 180)
        os.kill(_child_pid(installation, "supervisord"), signal.SIGKILL)
        assert server.wait(60) != 0
        wait_until(lambda: _parts(installation) == [], "all parts have stopped")


def _is_replaced(installation: Installation, part: str, killed: int) -> bool:
    try:
        return _child_pid(installation, part) != killed
    except (ValueError, FileNotFoundError):
        return False
