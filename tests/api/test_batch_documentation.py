"""Every line of the batch section of docs/api.md, run against a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from accounts import services
from screening.exchange import shifts
from screening.exchange import tasks as exchange_tasks
from screening.models import Batch, LesionImage
from tests.api.test_documentation import TEXT, blocks
from tests.factories import UserFactory, picture
from tests.screening.exchange.working import nobody


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")
def test_the_lines_on_batches(live_server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        exchange_tasks.work_on_batches_task,
        "apply_async",
        lambda **_: shifts.work(seconds=30, ring=nobody),
    )
    user = UserFactory()
    _, secret = services.create_api_key(user=user, name="docs")
    for seed, name in enumerate(("mole.jpg", "spot.jpg")):
        (tmp_path / name).write_bytes(picture(seed))
    lines = blocks("bash")
    assert len(lines) == 3
    # -f: a line that is answered with an error fails the script.
    script = "set -euo pipefail\n" + "".join(lines).replace("curl -s", "curl -sSf")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "API": f"{live_server.url}/api/v1", "KEY": secret},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = TEXT.split("The last line shows\n\n```\n")[1].split("```")[0]
    assert shown in done.stdout
    assert '"picture": "mole.jpg"' in done.stdout
    assert LesionImage.objects.get().lesion.label == "P-7-1"
    assert list(Batch.objects.values_list("state", flat=True)) == ["finished", "finished"]
    assert (tmp_path / "results.parquet").read_bytes().startswith(b"PAR1")
    assert (tmp_path / "predictions.csv").read_text().count("\n") == 2
    assert "P-7-1" in (tmp_path / "isic.csv").read_text()
