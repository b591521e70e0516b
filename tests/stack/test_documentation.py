"""Every line of shell and Python in README, docs/api.md and docs/client.md, run on a site."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from screening.api.events import SETTLED_SECONDS
from tests.client.package import EXAMPLES, unpacked_wheel
from tests.factories import picture
from tests.stack.conftest import Site
from tests.stack.installation import ROOT

API = (ROOT / "docs" / "api.md").read_text()
README = (ROOT / "README.md").read_text()

SEEDS = count()

pytestmark = [
    pytest.mark.stack,
    pytest.mark.any_database,
    pytest.mark.skipif(
        not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq"
    ),
]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def run(site: Site, folder: Path, *command: str, **environment: str) -> str:
    """The output of ``command``, in a folder with two new pictures."""
    for name in ("mole.jpg", "spot.jpg"):
        (folder / name).write_bytes(picture(next(SEEDS)))
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "SITE": site.url,
            "API": f"{site.url}/api/v1",
            "FHIR": f"{site.url}/fhir/R4",
            "KEY": site.key,
            "CLIENT_ID": site.client_id,
            "CLIENT_SECRET": site.client_secret,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_shell(site: Site, folder: Path, lines: str) -> str:
    """-f: an error response fails the script. Test machines are slow."""
    strict = lines.replace("curl -s", "curl -fsS").replace("sleep 1; curl", "sleep 5; curl")
    return run(site, folder, "bash", "-c", f"set -euo pipefail\n{strict}")


def test_the_shell_lines(site: Site, tmp_path: Path) -> None:
    setting, *rest = blocks(API, "sh")
    assert "KEY=sk_" in setting
    lines = [line for block in rest for line in block.splitlines()]
    assert sum("curl" in line for line in lines) == len(lines) == 48
    out = run_shell(site, tmp_path, "\n".join(lines))
    assert '"state": "succeeded"' in out
    assert '"outcome": null' not in out
    assert "HTTP/1.1 200 OK" in out  # the same picture again
    assert '"BodyStructure": 1' in out  # everything of the patient
    assert '"code": "400096001"' in out
    counted = "(SELECT count(*) FROM screening_{})".format
    tables = ("lesionimage",)  # one of the images came as DICOM
    assert site.installation.query(f"SELECT {', '.join(map(counted, tables))}") == [(2,)]
    patients = "SELECT label, birth_year, skin_type FROM screening_patient ORDER BY label"
    assert site.installation.query(patients)[0] == ("P-1", 1962, "III")
    assert (tmp_path / "picture.jpg").read_bytes().startswith(b"\xff\xd8")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "mask.png").read_bytes().startswith(b"\x89PNG")


def test_the_lines_on_batches(site: Site, tmp_path: Path) -> None:
    lines = blocks(API, "bash")
    assert len(lines) == 3
    out = run_shell(site, tmp_path, "".join(lines))
    shown = API.split("The last line shows\n\n```\n")[1].split("```")[0]
    assert shown in out
    assert '"picture": "mole.jpg"' in out
    states = "SELECT state, count(*) FROM screening_batch GROUP BY state"
    assert dict(site.installation.query(states)).keys() <= {"finished", "queued", "importing"}
    assert (tmp_path / "results.parquet").read_bytes().startswith(b"PAR1")
    assert (tmp_path / "predictions.csv").read_text().count("\n") >= 2
    assert "P-7-1" in (tmp_path / "isic.csv").read_text()


def test_the_python_example(site: Site, tmp_path: Path) -> None:
    example, _receiver = blocks(API, "python")
    assert "Research software" in run(site, tmp_path, sys.executable, "-c", example)


def test_the_examples_of_the_client(site: Site, tmp_path: Path) -> None:
    """One after the other, with the package as it is installed."""
    wheel = unpacked_wheel(tmp_path / "package")
    given = {
        "URL": site.url,
        "KEY": site.key,
        "CLIENT_ID": site.client_id,
        "CLIENT_SECRET": site.client_secret,
    }
    names = "".join(f"{name} = {value!r}\n" for name, value in given.items())
    out = ""
    for example in EXAMPLES:
        if "events.list" in example:
            time.sleep(SETTLED_SECONDS)  # the feed shows them after that
        out += run(site, tmp_path, sys.executable, "-c", names + example, PYTHONPATH=str(wheel))
    assert "Research software" in out
    assert "patient.created {'clinic': None" in out
    assert "file: This is not a JPEG" in out
    assert "North clinic assistant" in out
    assert (tmp_path / "picture.jpg").read_bytes().startswith(b"\xff\xd8")
    assert (tmp_path / "record.zip").read_bytes().startswith(b"PK")
    assert (tmp_path / "cursor").read_text()


def test_the_lines_of_readme(site: Site, tmp_path: Path) -> None:
    [lines] = [block for block in blocks(README, "") if "curl" in block]
    assert lines.count("sk_...") == lines.count("http://127.0.0.1:8000") == 1
    lines = lines.replace("sk_...", site.key).replace("http://127.0.0.1:8000", site.url)
    out = run_shell(site, tmp_path, lines)
    assert "HTTP/1.1 202 Accepted" in out
    assert f"Location: {site.url}/api/v1/predictions/" in out


def test_the_commands_of_readme_that_store_nothing(tmp_path: Path) -> None:
    """``python -m ml predict`` and ``manage.py screen``, as they stand there."""
    commands = re.findall(r"`((?:python -m ml|manage\.py) [^`]+)`", README.replace("\n", " "))
    assert [command.split()[:2] for command in commands] == [
        ["python", "-m"],
        ["manage.py", "screen"],
    ]
    (tmp_path / "spot.jpg").write_bytes(picture(next(SEEDS)))
    (tmp_path / "in.csv").write_text("image,age,sex\nspot.jpg,61,female\n")
    for command in commands:
        command = command.removeprefix("python ").replace("manage.py", str(ROOT / "manage.py"))
        ran = subprocess.run(
            [sys.executable, *command.split()],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "VAR_DIR": str(tmp_path / "var")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out.csv").read_text().count("\n") == 2
    assert "Research software" in ran.stdout + ran.stderr


def test_every_block_of_shell_in_readme_is_run() -> None:
    """The first starts the site: ``tests/stack/test_server.py``."""
    start, lines = blocks(README, "")
    assert start.split()[0] == "script/server"
    assert "curl" in lines
