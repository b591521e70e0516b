"""Faults of language that a machine can find."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("accounts", "benchmarks", "ml", "screening", "script", "skincheck_site")
OTHERS = ("docs", "static", "templates", "tests")
TEXT = {".css", ".html", ".js", ".md", ".py", ".yaml"}


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in (ROOT / folder).rglob("*") if path.suffix in TEXT)


def docstrings(path: Path) -> list[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = ast.walk(ast.parse(path.read_text()))
    return [ast.get_docstring(node) or "" for node in nodes if isinstance(node, documented)]


def test_no_docstring_says_post_beside_http() -> None:
    """It reads as the HTTP method. A docstring says what the function does."""
    at_fault = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in files(*PRODUCT)
        if path.suffix == ".py"
        for text in docstrings(path)
        if re.search(r"\bPost:", text)
    ]
    assert not at_fault, "\n".join(at_fault)


def test_nothing_refers_to_a_design_file_that_is_not_here() -> None:
    """Readers have docs/, so texts cite that."""
    paths = [*files(*PRODUCT, *OTHERS), *ROOT.glob("*.md")]
    at_fault = [
        str(path.relative_to(ROOT))
        for path in paths
        if path != Path(__file__).resolve() and re.search(r"\bDESIGN\b", path.read_text())
    ]
    assert not at_fault, "\n".join(at_fault)
