"""Workers that hang in a task still report: health tells at what, and for how long. Once their
process was ended and the storage is back, the work goes on. The hang is real: their files become
pipes that nobody writes to, and a DICOM node does not answer.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.stack.installation import Installation, installed, pool_process, wait_until

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

UPLOAD_A_BATCH = """
import os
from io import BytesIO
from django.core.files.base import File
from django.db import transaction
from accounts.models import User
from screening.batches import services
from tests.batches.uploads import batch_of, many
archive = File(BytesIO(batch_of(*many(3))), "batch.zip")
with transaction.atomic():  # a worker hears of it afterwards
    batch = services.upload_batch(user=User.objects.create_user("a@example.org"), archive=archive)
    os.rename(batch.archive.path, batch.archive.path + ".kept")
    os.mkfifo(batch.archive.path)
"""

ASK_FOR_ERASURE = """
from datetime import timedelta
from django.utils import timezone
from accounts.models import User
from screening.erasure import services
from screening.models import Erasure
services.ask_for_account(user=User.objects.get())
Erasure.objects.update(erased_from=timezone.now() - timedelta(seconds=1))
"""
AT_NIGHT = """
from celery import current_app
from screening.models import Erasure
Erasure.objects.update(rests_until=None)  # an hour after the attempt before
current_app.send_task("screening.tasks.erase_task")
"""

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
    installation.python("-m", "tests.stack.add_images", "1")
    with installation.running("web"), installation.running("worker"):
        # Before, the sweep would measure in its place.
        beats = "SELECT count(*) FROM screening_heartbeat WHERE name LIKE 'worker@%'"
        wait_until(lambda: installation.query(beats) == [(1,)], "the worker reports")
        with installation.running("sweeper"):
            measured = "SELECT count(*) FROM screening_measurement"
            wait_until(lambda: installation.query(measured) == [(1,)], "it is measured")
            _make_reading_hang(installation)
            _shell(installation, HANGS[task])
            wait_until(lambda: _is_told(installation, "worker", task), "it is told", 120)


def test_and_at_what_a_courier_hangs(tmp_path: Path) -> None:
    with (
        installed(tmp_path / "var", WEBHOOK_ALLOW_PRIVATE="1") as made,
        closing(socket.create_server(("127.0.0.1", 0))) as silent,
    ):
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        made.python("-m", "tests.stack.add_images", "1")
        _shell(made, SEND_TO.format(address=address))
        with made.running("web"), made.running("courier"), made.running("sweeper"):
            wait_until(lambda: _is_told(made, "courier", "store_in_node_task"), "it is told", 120)


def test_a_batch_whose_archive_hangs_goes_on(installation: Installation) -> None:
    installation.python("script/prepare.py")
    with installation.running("web"), installation.running("worker") as worker:
        beats = "SELECT count(*) FROM screening_heartbeat WHERE name LIKE 'worker@%'"
        wait_until(lambda: installation.query(beats) == [(1,)], "the worker reports")
        with installation.running("sweeper"):
            _shell(installation, UPLOAD_A_BATCH)
            _ends_a_hang(installation, worker, "work_on_batches_task")
            states = "SELECT state, count(*) FROM screening_batchrow GROUP BY state"
            wait_until(lambda: installation.query(states) == [("imported", 3)], "it is imported")
    read = "SELECT attempts, count(*) FROM screening_prediction GROUP BY attempts"
    assert installation.query(read) == [(1, 3)]


def test_an_erasure_whose_files_hang_goes_on(installation: Installation) -> None:
    installation.python("script/prepare.py")
    installation.python("-m", "tests.stack.add_images", "1")
    with installation.running("web"), installation.running("worker") as worker:
        measured = "SELECT count(*) FROM screening_measurement"
        wait_until(lambda: installation.query(measured) == [(1,)], "it is measured")
        _make_reading_hang(installation)
        _shell(installation, ASK_FOR_ERASURE + AT_NIGHT)
        _ends_a_hang(installation, worker, "erase_task")
        assert installation.query("SELECT state FROM screening_erasure") == [("erasing",)]

        def is_erased() -> bool:
            _shell(installation, AT_NIGHT)
            return installation.query("SELECT state FROM screening_erasure") == [("erased",)]

        wait_until(is_erased, "it is erased")
    assert list((installation.folder / "media").rglob("*.jpg*")) == []


def _ends_a_hang(installation: Installation, worker: subprocess.Popen[bytes], task: str) -> None:
    """Once it is told, the storage is back, and the process is killed, as after its time limit."""
    wait_until(lambda: _is_told(installation, "worker", task), "it is told", 120)
    for kept in (installation.folder / "media").rglob("*.kept"):
        kept.rename(kept.with_suffix(""))
    os.kill(pool_process(worker), signal.SIGKILL)


def _make_reading_hang(installation: Installation) -> None:
    for path in list((installation.folder / "media").rglob("*")):
        if path.is_file():
            path.rename(f"{path}.kept")
            os.mkfifo(path)


def _shell(installation: Installation, code: str) -> None:
    installation.python("manage.py", "shell", "--no-imports", "-c", code)


def _is_told(installation: Installation, part: str, task: str) -> bool:
    """Whether health says for how long the part has been at its task, which is this one."""
    of_part = f"SELECT task FROM screening_heartbeat WHERE name LIKE '{part}@%'"
    if installation.query(of_part) != [(task,)]:
        return False
    told = httpx.get(f"http://127.0.0.1:{installation.port}/health/ready", timeout=60).json()
    [busy] = [one["busy_seconds"] for one in told["heartbeats"] if one["part"] == part]
    return busy is not None and busy > 0
