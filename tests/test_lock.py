"""Installed packages are those in the lock files, with hashes; and the locks agree with the
pins.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("requirements-serve", "requirements", "requirements-dev")


def pins(name: str) -> dict[str, Requirement]:
    """The requirements of a file and of those that it includes, by canonical name."""
    found = {}
    for line in (ROOT / f"{name}.txt").read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("-r "):
            found |= pins(line.removeprefix("-r ").removesuffix(".txt"))
        elif line:
            requirement = Requirement(line)
            found[canonicalize_name(requirement.name)] = requirement
    return found


def locked(name: str) -> dict[str, tuple[Requirement, int]]:
    """The packages in a lock file, with their number of hashes."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / f"{name}.lock").read_text())
    found = {}
    for entry in entries:
        if not entry.startswith("#"):
            requirement = Requirement(entry.splitlines()[0].removesuffix("\\"))
            hashes = len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry))
            found[canonicalize_name(requirement.name)] = (requirement, hashes)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_pin_is_locked_and_every_line_has_hashes(name: str) -> None:
    lock = locked(name)
    assert all(hashes for _, hashes in lock.values())
    for pinned, requirement in pins(name).items():
        assert len(requirement.specifier) == 1, f"{requirement} is not pinned"
        assert lock[pinned][0].specifier == requirement.specifier, "run script/lock"


@pytest.mark.parametrize("name", NAMES[:-1])
def test_what_is_served_is_what_is_tested(name: str) -> None:
    tested = locked("requirements-dev")
    for package, (requirement, _) in locked(name).items():
        assert tested[package][0].specifier == requirement.specifier, "run script/lock"


def test_what_is_installed_here_is_what_the_lock_names() -> None:
    for package, (requirement, _) in locked("requirements-dev").items():
        if requirement.marker is None or requirement.marker.evaluate():
            installed = metadata.version(package)
            assert requirement.specifier.contains(installed, prereleases=True), package
