from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from accounts import services
from screening import tasks
from screening.models import Lesion, Patient
from tests.factories import LesionFactory, PatientFactory, picture

CLIENT = Path(__file__).resolve().parents[2] / "script" / "client"
Skincheck = Callable[..., "subprocess.CompletedProcess[str]"]


def start(*arguments: object, home: Path, **environment: str) -> subprocess.Popen[str]:
    """The command in a separate process, with an empty home directory and no login."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "skincheck_client", *map(str, arguments)],
        env={**inherited, "HOME": str(home), "PYTHONPATH": str(CLIENT), **environment},
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: object, home: Path, stdin: str = "", **environment: str):
    """As ``start``, to its end."""
    with start(*arguments, home=home, **environment) as process:
        out, errors = process.communicate(stdin, timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


@pytest.fixture
def patient(live_server) -> Patient:
    """A self-tracker's own record."""
    return PatientFactory(own=True, label="P-1")


@pytest.fixture
def lesion(patient) -> Lesion:
    return LesionFactory(patient=patient, label="Mole")


@pytest.fixture
def key(patient) -> str:
    return services.create_api_key(user=patient.owner, name="client")[1]


@pytest.fixture
def worker(monkeypatch) -> None:
    """Reads at once."""
    monkeypatch.setattr(
        tasks.read_prediction_task,
        "apply_async",
        lambda arguments, queue: tasks.read_prediction_task(*arguments),
    )


@pytest.fixture
def skincheck(live_server, key, tmp_path) -> Skincheck:
    """Logged in through the environment. port: of a proxy in front of the server."""

    def call(*arguments: object, port: int = 0, **options: str):
        url = f"http://127.0.0.1:{port}" if port else live_server.url
        login = {"SKINCHECK_URL": url, "SKINCHECK_KEY": key}
        return run(*arguments, home=tmp_path, **{**login, **options})

    return call


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    paths = [tmp_path / f"mole-{seed}.jpg" for seed in range(3)]
    for seed, path in enumerate(paths):
        path.write_bytes(picture(seed))
    return paths
