"""Each part is killed while a program adds pictures, as is each process below it: all come back,
and every image is read exactly once."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.stack.attack import unmatched
from tests.stack.installation import Installation, wait_until
from tests.stack.server import PARTS, children, is_replaced, main_process, server
from tests.stack.uploads import assert_each_is_read_once, uploading

pytestmark = pytest.mark.stack


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_each_part_is_killed_under_load(installation: Installation, tmp_path: Path) -> None:
    (installation.folder / "demo-logins.txt").touch()  # no demo record: it would take a minute
    output = tmp_path / "output"
    with server(installation, output):
        wait_until(lambda: "Stop: Ctrl-C" in output.read_text(), "it is ready")
        with uploading(installation) as uploads:
            uploads.one_more()
            for part in PARTS:
                for child in children(main_process(installation, part)):
                    for below in children(child):  # they decode pictures
                        _kill(below)
                    uploads.one_more()
                    _kill(child)
                    uploads.one_more()
                killed = main_process(installation, part)
                _kill(killed)
                wait_until(lambda k=killed, p=part: is_replaced(installation, p, k), f"{part!r}")
                uploads.one_more()
        assert_each_is_read_once(installation, uploads)
        assert set(uploads.statuses) <= {0, 202, 409, 503}

        def all_are_heard_of() -> bool:
            time.sleep(1)  # it is asked by everybody, and so not without limit
            told = httpx.get(f"http://127.0.0.1:{installation.port}/health/ready", timeout=60)
            beats = {beat["part"]: beat["seconds"] for beat in told.json()["heartbeats"]}
            known = {"worker", "courier", "beat", "sweeper"} <= set(beats)
            return told.status_code == 200 and known and max(beats.values()) < 60

        wait_until(all_are_heard_of, "health tells that all live")
    then = time.time() - 2 * 86_400
    for stored in (installation.folder / "media").rglob("*"):
        os.utime(stored, (then, then))
    installation.python("manage.py", "orphans", "--delete")
    assert unmatched(installation) - {"probe"} == set()
