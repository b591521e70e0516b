"""The README's model figures are the card's, and the files that it names exist."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from ml import reader

README = Path(__file__).resolve().parents[1] / "README.md"

# Name in README, key in the card, and whether higher is worse (then it is rounded up).
ROWS = (
    ("Balanced accuracy (balanced reading)", "balanced_accuracy_balanced", False),
    ("Accuracy (calibrated reading)", "accuracy_calibrated", False),
    ("Macro AUC (balanced reading)", "macro_auc_balanced", False),
    ("Macro AUC (calibrated reading)", "macro_auc_calibrated", False),
    ("Melanomas named as such (balanced reading)", "melanoma_sensitivity_balanced", False),
    ("Expected calibration error", "expected_calibration_error", True),
)
TOLD = (
    ("Cancers told to see a doctor, or urgent", "cancers_told", False),
    ("Harmless lesions told to monitor", "harmless_told_monitor", False),
    ("Turned away", "refused", True),
    ("Of those told to see a doctor, cancer", "see_doctor/malignant_ppv", False),
)
SOURCES = {"HAM10000": "HAM10000", "ISIC2017": "ISIC 2017", "MILK10K": "MILK10k"}


def percent(share: float, worse_up: bool) -> str:
    """One decimal, always rounded to the side that makes us look worse."""
    tenths = share * 1000
    return f"{(math.ceil(tenths) if worse_up else math.floor(tenths)) / 10:.1f} %"


def table() -> str:
    card = reader.card()
    figures = card["figures"]
    lines = [
        f"| {figures['images']} images of {figures['lesions']} lesions, model version "
        f"{card['version']} | figure | 95 % interval |",
        "|---|---|---|",
    ]
    lines += rows(figures, ROWS)
    for source, name in SOURCES.items():
        judged = card["sources"][source]
        lines.append(f"| **What is told** of {judged['images']} images of {name} | | |")
        lines += rows(judged, TOLD)
    return "\n".join(lines)


def rows(measured: dict[str, Any], named: tuple[tuple[str, str, bool], ...]) -> list[str]:
    lines = []
    for name, key, worse_up in named:
        figure = measured["with_95_percent_intervals"][key]
        interval = f"{percent(figure['low'], False)} to {percent(figure['high'], True)}"
        lines.append(f"| {name} | {percent(figure['value'], worse_up)} | {interval} |")
    return lines


def test_the_figures_are_the_cards():
    text = README.read_text(encoding="utf-8")
    shown = text.split("compares these lines with the card -->\n")[1].split("<!-- end")[0]
    assert shown.strip() == table(), f"README should say:\n{table()}"


ROOT = README.parent
FOLDERS = ("accounts", "benchmarks", "docs", "ml", "screening", "script", "skincheck_site", "tests")
FILES = [
    str(path.relative_to(ROOT))
    for path in (*ROOT.iterdir(), *(file for name in FOLDERS for file in (ROOT / name).rglob("*")))
    if path.is_file()
]
PAPERS = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG")]
PAPERS += [*(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]
NAMED = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|md|txt|lock|yml|yaml|conf)|script/[\w-]+)`")


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_every_file_that_is_named_is_there(paper: Path) -> None:
    named = set(NAMED.findall(paper.read_text(encoding="utf-8")))
    assert not [
        name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in FILES)
    ]


def test_where_a_change_belongs_is_one_file_each() -> None:
    tasks = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Where do I change")[1]
    named = re.findall(r"^\d+\. .*\? `(.+)`$", tasks, re.MULTILINE)
    assert len(set(named)) == 20
    assert set(named) <= set(FILES)


def test_readme_shows_its_picture() -> None:
    assert "docs/img/result-desk-light.webp" in README.read_text(encoding="utf-8")
    assert "docs/img/result-desk-light.webp" in FILES


def test_pictures_of_pages_are_small() -> None:
    pictures = list((ROOT / "docs" / "img").iterdir())
    assert {"home", "lesion", "result", "review"} <= {one.name.split("-")[0] for one in pictures}
    assert sum(one.stat().st_size for one in pictures) < 1_500_000
