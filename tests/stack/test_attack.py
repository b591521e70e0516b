"""``script/attack`` with numbers small enough for a test."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.stack import attack
from tests.stack.installation import installed

pytestmark = [pytest.mark.stack, pytest.mark.any_database]


def outcome(name: str, pages: float, pictures: float) -> attack.Outcome:
    answers = [attack.Answers([seconds]) for seconds in (pages, pictures)]
    return attack.Outcome(name, 1, Counter(), *answers, 1)


def test_a_person_who_waits_three_times_as_long_fails_the_attack() -> None:
    idle, quick = outcome("none", 0.1, 1), outcome("quick", 0.29, 2.9)
    assert attack.too_slow([quick], idle) == []
    slow = [outcome("a", 0.31, 1), outcome("b", 0.1, 3.1)]
    assert attack.too_slow(slow, idle) == [
        "pages beside a (3.1 times)",
        "pictures beside b (3.1 times)",
    ]


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
