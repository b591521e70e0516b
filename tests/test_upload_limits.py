"""Each upload limit is defined once: pages, responses, docs and nginx agree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings

from ml.opening.limits import IN_BYTES, IN_PIXELS, KEPT_PIXELS, MAX_BYTES, size_in_words
from screening.batches import archives
from tests.test_architecture import ALL, ROOT

SIZE = re.compile(r"\b\d+ ?(MB|GB|megapixels)\b")


def test_no_code_and_no_page_spells_a_limit() -> None:
    for module, path in ALL:
        if module.split(".")[0] != "ml":
            tree = ast.parse(path.read_text())
            notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    assert id(node) in notes or not SIZE.search(node.value), module
    for path in (ROOT / "templates").rglob("*.html"):
        assert not SIZE.search(path.read_text()), path


@pytest.mark.parametrize(
    "limit",
    [
        f"at most {IN_BYTES} and {IN_PIXELS}, each side",
        f"larger than {KEPT_PIXELS // 1_000_000} megapixels is kept",
        f"**a ZIP** (up to {size_in_words(archives.MAX_ARCHIVE_BYTES)}, "
        f"{archives.MAX_ENTRIES:,} files)",
        f"by themselves (up to {size_in_words(archives.MAX_JSON_LINES_BYTES)})",
        f"than pictures would ({archives.MAX_RATIO} times) or to more than "
        f"{size_in_words(archives.MAX_UNPACKED_BYTES)}",
        f"JSON over {size_in_words(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)} or of more than",
    ],
)
def test_the_papers_tell_the_limits_as_they_are(limit: str) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert limit in " ".join(text.split())


def test_nginx_lets_through_what_the_site_takes_and_little_more() -> None:
    found = re.findall(r"client_max_body_size (\d+)m;", Path(ROOT, "script/nginx.conf").read_text())
    pictures, archive = (int(megabytes) * 1024**2 for megabytes in found)
    assert 5 * MAX_BYTES < pictures < 6 * MAX_BYTES  # five of the maximum size at once
    assert archives.MAX_ARCHIVE_BYTES < archive < 1.1 * archives.MAX_ARCHIVE_BYTES
