"""Workers that hang in a task still report: health tells at what, and for how long. The hang is
real: their files become pipes that nobody writes to, and a DICOM node does not answer.
"""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.stack.installation import Installation, installed, wait_until

pytestmark = pytest.mark.stack

HANGS = {
    "follow_up_task": """
from screening.models import Measurement
Measurement.objects.all().delete()
""",
    "work_on_exports_task": """
from accounts.models import User
from screening.exports import services as exports
exports.request_export(user=User.objects.get())
""",
}

SEND_TO = """
from accounts import services
from accounts.models import User
from screening.interop.dicomweb import nodes, sending
from screening.models import Lesion, Patient
user = User.objects.get()
clinic = services.found_clinic(user=user, name="Clinic")
Patient.objects.update(clinic=clinic)
node = nodes.add_node(user=user, clinic=clinic, name="Archive", address={address!r})
sending.send(user=user, lesion=Lesion.objects.get(), node=node)
"""


@pytest.mark.parametrize("task", HANGS)
def test_health_tells_at_what_a_worker_hangs(installation: Installation, task: str) -> None:
    installation.python("script/prepare.py")
    installation.python("-m", "tests.stack.add_images", "1")
    with installation.running("web"), installation.running("worker"):
        # Before, the sweep would measure in its place.
        beats = "SELECT count(*) FROM screening_heartbeat WHERE name LIKE 'worker@%'"
        wait_until(lambda: installation.query(beats) == [(1,)], "the worker reports")
        with installation.running("sweeper"):
            measured = "SELECT count(*) FROM screening_measurement"
            wait_until(lambda: installation.query(measured) == [(1,)], "it is measured")
            _make_reading_hang(installation)
            installation.python("manage.py", "shell", "--no-imports", "-c", HANGS[task])
            wait_until(lambda: _is_told(installation, "worker", task), "it is told", 120)


def test_and_at_what_a_courier_hangs(tmp_path: Path) -> None:
    with (
        installed(tmp_path / "var", WEBHOOK_ALLOW_PRIVATE="1") as made,
        closing(socket.create_server(("127.0.0.1", 0))) as silent,
    ):
        made.python("script/prepare.py")
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        made.python("-m", "tests.stack.add_images", "1")
        made.python("manage.py", "shell", "--no-imports", "-c", SEND_TO.format(address=address))
        with made.running("web"), made.running("courier"), made.running("sweeper"):
            wait_until(lambda: _is_told(made, "courier", "store_in_node_task"), "it is told", 120)


def _make_reading_hang(installation: Installation) -> None:
    for path in (installation.folder / "media").rglob("*"):
        if path.is_file():
            path.unlink()
            os.mkfifo(path)


def _is_told(installation: Installation, part: str, task: str) -> bool:
    """Whether health says for how long the part has been at its task, which is this one."""
    of_part = f"SELECT task FROM screening_heartbeat WHERE name LIKE '{part}@%'"
    if installation.query(of_part) != [(task,)]:
        return False
    told = httpx.get(f"http://127.0.0.1:{installation.port}/health/ready", timeout=60).json()
    [busy] = [one["busy_seconds"] for one in told["heartbeats"] if one["part"] == part]
    return busy is not None and busy > 0
