"""The wheel has all of the client, and a program that uses it is checked by mypy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.client.package import EXAMPLES, ROOT, unpacked_wheel

GIVEN = """
URL: str
KEY: str
CLIENT_ID: str
CLIENT_SECRET: str
"""
WRONG = """
from skincheck_client import Client, images, lesions, patients

with Client("https://skincheck.example", "sk_1") as site:
    patients.create(label=7)
    patients.create(label="P-1", age=61)
    lesions.list(body_site="nose")
    images.add(b"")
    site.send(patients.get("7"))["labels"]
    for lesion in site.each(lesions.get("7")):
        pass
"""


def test_the_wheel_is_whole_and_typed(tmp_path: Path) -> None:
    wheel = unpacked_wheel(tmp_path)
    sources = ROOT / "script" / "client"
    packed = {path.relative_to(wheel) for path in wheel.rglob("*.py")}
    assert packed == {path.relative_to(sources) for path in sources.rglob("*.py")}
    assert (wheel / "skincheck_client" / "py.typed").is_file()
    for number, example in enumerate(EXAMPLES):
        (tmp_path / f"example_{number}.py").write_text(GIVEN + example)
    (tmp_path / "wrong.py").write_text(WRONG)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary"),
            *("--config-file", "", "--cache-dir", str(tmp_path / "cache")),
            *sorted(path.name for path in tmp_path.glob("*.py")),
        ],
        cwd=tmp_path,
        env={"MYPYPATH": str(wheel), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = {line.partition(": ")[0] for line in done.stdout.splitlines() if ": error: " in line}
    assert found == {f"wrong.py:{line}" for line in (5, 6, 7, 8, 9, 10)}, done.stdout + done.stderr
