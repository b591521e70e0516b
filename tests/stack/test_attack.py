"""``script/attack`` with numbers small enough for a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stack import attack
from tests.stack.installation import installed

pytestmark = pytest.mark.stack


def test_hostile_files_leave_nothing_and_take_little(tmp_path: Path) -> None:
    with (
        installed(tmp_path / "var", API_RATE="1000000/min") as installation,
        attack.target(installation, patience=60) as site,
    ):
        outcomes = [
            attack.bombs(site, 6),
            attack.mutated_files(site, 45),
            attack.mutated_exif(site, 25),
        ]
        for outcome in outcomes:
            assert outcome.bugs == 0, outcome
            assert outcome.person.seconds
            assert outcome.person.failures == [], outcome
            assert outcome.pictures.failures == [], outcome
        assert attack.orphans(installation) == []
        assert attack.most_memory(site.pid) < 1_000_000_000
        assert "Traceback" not in installation.log("web")
