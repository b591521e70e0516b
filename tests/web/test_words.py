"""Pages speak by docs/glossary.md: a walk through the visible text of every template."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "templates"
FIELD = ("problem", "drf_")
"""Where the field's own words stand: the API and its problems."""
PAGES = [
    path
    for path in sorted(ROOT.rglob("*.html"))
    if not any(part in str(path.relative_to(ROOT)) for part in FIELD)
]
COMMENT = re.compile(r"\{% comment %\}.*?\{% endcomment %\}|<code>.*?</code>", re.DOTALL)
MARKUP = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", re.DOTALL)


def visible(path: Path) -> str:
    text = COMMENT.sub("", path.read_text(encoding="utf-8"))
    return " ".join(MARKUP.sub(" ", text).split())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_picture_is_called_a_picture(path: Path) -> None:
    assert not re.findall(r"\b[Ii]mages?\b.{0,20}", visible(path))
