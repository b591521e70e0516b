"""Every line of shell and Python in docs/api.md, run against a real server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from accounts import services
from screening import tasks
from screening.models import AccessLog, LesionImage, Patient, Prediction
from tests.factories import UserFactory, picture

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
needs_curl = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq"
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.S)


@pytest.fixture
def environment(live_server, tmp_path, monkeypatch) -> dict[str, str]:
    """A key, a picture in the folder, and a worker that reads at once."""
    monkeypatch.setattr(
        tasks.read_prediction_task,
        "apply_async",
        lambda arguments, queue: tasks.read_prediction_task(*arguments),
    )
    _, secret = services.create_api_key(user=UserFactory(), name="docs")
    (tmp_path / "mole.jpg").write_bytes(picture())
    return {
        **os.environ,
        "API": f"{live_server.url}/api/v1",
        "FHIR": f"{live_server.url}/fhir/R4",
        "KEY": secret,
    }


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_curl
def test_the_shell_lines(environment, tmp_path):
    setting, *rest = blocks("sh")
    assert "KEY=sk_" in setting
    lines = [line for block in rest for line in block.splitlines()]
    assert sum("curl" in line for line in lines) == len(lines) == 43
    # -f: a line that is answered with an error fails the script.
    script = "set -euo pipefail\n" + "\n".join(lines).replace("curl -s", "curl -sSf")
    out = run(["bash", "-c", script], environment, tmp_path)
    assert '"state": "succeeded"' in out
    assert '"outcome": null' not in out
    assert "HTTP/1.1 200 OK" in out  # the same picture again
    assert Patient.objects.count() == 2
    patient = Patient.objects.get(label="P-1")
    assert (patient.label, patient.skin_type) == ("P-1", "III")
    assert patient.birth_year == 1962
    assert sorted(patient.lesions.values_list("changing", flat=True)) == [False, True]
    assert '"BodyStructure": 1' in out  # everything of the patient
    assert '"code": "400096001"' in out
    assert LesionImage.objects.count() == 2  # one of them as DICOM
    assert Prediction.objects.count() == 3
    assert AccessLog.objects.count() == 4
    assert (tmp_path / "picture.jpg").read_bytes().startswith(b"\xff\xd8")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "mask.png").read_bytes().startswith(b"\x89PNG")


def test_the_python_example(environment, tmp_path):
    example, _receiver = blocks("python")
    out = run([sys.executable, "-c", example], environment, tmp_path)
    assert Prediction.objects.get().state == "succeeded"
    assert "Research software" in out
