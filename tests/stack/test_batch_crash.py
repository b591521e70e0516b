"""A batch comes to the same end, whatever happens to its worker.

BATCH_ROWS=1000 .venv/bin/python -m pytest tests/stack/test_batch_crash.py
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import Any

import pytest

from tests.batches.uploads import BAD
from tests.stack.installation import Installation, kill_group, pool_process, wait_until

pytestmark = pytest.mark.stack

ROWS = int(os.environ.get("BATCH_ROWS", "150"))
GOOD = ROWS - len(BAD)
SETTINGS = {"DJANGO_SETTINGS_MODULE": "skincheck_site.settings"}
TELL = """
import django; django.setup()
import json
from dataclasses import asdict, astuple
from screening.batches.queries import counts_of, problems_of, with_counts
from screening.models import Batch, LesionImage, Prediction
batch = with_counts(Batch.objects.all()).get()
print(json.dumps({
    "state": batch.state,
    "counts": asdict(counts_of(batch)),
    "problems": [astuple(problem) for problem in problems_of(batch)],
    "attempts": max(batch.rows.values_list("attempts", flat=True)),
    "images": LesionImage.objects.count(),
    "pictures": LesionImage.objects.values("sha256").distinct().count(),
    "lesions": LesionImage.objects.values("lesion").distinct().count(),
    "patients": LesionImage.objects.values("lesion__patient").distinct().count(),
    "read": Prediction.objects.filter(state="succeeded").count(),
    "predictions": Prediction.objects.count(),
}))
"""


def _rows(installation: Installation, state: str) -> int:
    [(count,)] = installation.query(
        f"SELECT count(*) FROM screening_batchrow WHERE state = '{state}'"
    )
    return int(count)


def _stop_within_a_row(installation: Installation, worker: subprocess.Popen[bytes]) -> None:
    """Freeze the process that works while the database says that it has a row."""
    process = pool_process(worker)
    for _ in range(2000):
        os.kill(process, signal.SIGSTOP)
        if _rows(installation, "running"):
            return
        os.kill(process, signal.SIGCONT)
        time.sleep(0.002)
    raise AssertionError("no row was caught in the middle")


def _told(installation: Installation) -> dict[str, Any]:
    return dict(json.loads(installation.python("-c", TELL, **SETTINGS)))


def test_a_killed_worker_changes_nothing_of_a_batchs_end(installation: Installation) -> None:
    installation.python("-m", "tests.stack.upload_batch", str(ROWS))
    with installation.running("worker") as worker:
        wait_until(lambda: _rows(installation, "imported") >= GOOD // 4, "a quarter is imported")
        _stop_within_a_row(installation, worker)
        kill_group(worker)
    assert _rows(installation, "running") == 1
    assert _rows(installation, "waiting") > 0
    installation.empty_broker()

    def has_ended() -> bool:
        return installation.query("SELECT state FROM screening_batch") == [("finished",)]

    with installation.running("worker"), installation.running("sweeper"):
        wait_until(has_ended, "the batch is finished", seconds=60 + ROWS)

    told = _told(installation)
    assert told["state"] == "finished"
    assert told["counts"] == {
        "rows": ROWS,
        "waiting": 0,
        "checked": 0,
        "imported": GOOD,
        "known": 0,
        "read": GOOD,
        "failed": 0,
        "refused": len(BAD),
    }
    # Nothing is duplicated: neither an image, nor its reading, nor its patient.
    assert told["images"] == told["pictures"] == told["read"] == told["predictions"] == GOOD
    assert (told["lesions"], told["patients"]) == ((GOOD + 1) // 2, (GOOD + 3) // 4)
    assert told["attempts"] == 2
    assert len(told["problems"]) == len(BAD)
    for (row, _, column, reason), (number, (_, expected, part)) in zip(
        told["problems"], enumerate(BAD, start=GOOD + 2), strict=True
    ):
        assert (row, column) == (number, expected)
        assert part in reason
