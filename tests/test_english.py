"""Faults of language that a machine can find."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("accounts", "benchmarks", "ml", "screening", "script", "skincheck_site")
TEXT = {".css", ".html", ".js", ".json", ".md", ".py", ".toml", ".txt", ".yaml", ".yml", ""}


def docstrings(path: Path) -> list[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = ast.walk(ast.parse(path.read_text()))
    return [ast.get_docstring(node) or "" for node in nodes if isinstance(node, documented)]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_no_docstring_says_post_beside_http() -> None:
    """ "Post:" reads as the HTTP method. A docstring says what the function does."""
    paths = [path for package in PRODUCT for path in (ROOT / package).rglob("*.py")]
    assert paths
    at_fault = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in paths
        for text in docstrings(path)
        if re.search(r"\bPost:", text)
    ]
    assert not at_fault, "\n".join(at_fault)


def test_nothing_refers_to_a_design_file_that_is_not_here() -> None:
    """Readers have docs/: texts cite that."""
    design = re.compile(r"\bDESIGN\b")
    at_fault = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix in TEXT and path.is_file() and path != Path(__file__).resolve()
        if design.search(path.read_text(errors="ignore"))
    ]
    assert not at_fault, "\n".join(at_fault)
