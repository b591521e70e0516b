"""``script/server`` as a test starts it: all parts under the supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.stack.installation import ROOT, Installation, kill_group

PARTS = (
    "skincheck_site.serve",
    "--queues\0interactive",
    "--queues\0webhooks",
    "skincheck_site\0beat",
    "manage.py\0sweep",
)
"""What the command line of each part has, and no other's."""


@contextmanager
def server(installation: Installation, output: Path) -> Iterator[subprocess.Popen[bytes]]:
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
        for pid in parts(installation):
            os.kill(pid, signal.SIGKILL)
        kill_group(process)


def parts(installation: Installation, word: str = "") -> list[int]:
    """Every living process that was started with this installation's folder, whose command line has
    ``word``."""
    mark = f"VAR_DIR={installation.folder}\0".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            command = (environment.parent / "cmdline").read_bytes()
            if mark in environment.read_bytes() and word.encode() in command:
                found.append(int(environment.parent.name))
        except (ProcessLookupError, FileNotFoundError, PermissionError):
            continue
    return found


def answers(installation: Installation) -> bool:
    try:
        url = f"http://127.0.0.1:{installation.port}/health/ready"
        with urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def main_process(installation: Installation, word: str) -> int:
    """The main process of one part: the oldest whose command line has ``word``."""
    return min(parts(installation, word))


def children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return [int(child) for thread in threads for child in thread.read_text().split()]
    return []


def is_replaced(installation: Installation, part: str, killed: int) -> bool:
    try:
        return main_process(installation, part) != killed
    except ValueError:
        return False
