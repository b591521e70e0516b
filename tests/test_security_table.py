"""Each row of docs/security.md names a test that is there, and the words beside it are no test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")
THE_ONE_ABOVE = "the same"
NONE = "none"


def rows() -> list[tuple[str, str]]:
    """What may happen, and the cell that names its test. A name without a folder is beside the one
    before it."""
    found, column, above = [], None, ""
    for line in (ROOT / "docs" / "security.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            column = None
        elif column is None:
            column = cells.index("test") if "test" in cells else -1
        elif column >= 0 and not set(line) <= set("|-"):
            cell = cells[column]
            if cell.startswith(THE_ONE_ABOVE):
                cell = above + cell.removeprefix(THE_ONE_ABOVE)
            found.append((cells[0], cell))
            above = cell
    return found


def named(cell: str) -> list[tuple[Path, str]]:
    tests, folder = [], ROOT / "tests"
    for name, function in NAMED.findall(cell):
        path = ROOT / name if "/" in name else folder / name
        folder = path.parent
        tests.append((path, function))
    return tests


@pytest.mark.parametrize(("what", "cell"), rows(), ids=lambda text: text[:60])
def test_what_it_names_is_there(what: str, cell: str) -> None:
    if cell.strip("*").startswith(NONE):
        return
    tests = named(cell)
    assert tests, f"{what}: no test is named"
    for path, function in tests:
        assert path.is_file(), path
        functions = {node.name for node in ast.walk(ast.parse(path.read_text())) if is_a_test(node)}
        assert functions, f"{path} has no test"
        assert not function or function in functions, f"{path} has no {function}"


def test_every_row_is_under_a_head() -> None:
    """A blank line within a table ends it: the rows below were shown as text, and not checked."""
    lines = (ROOT / "docs" / "security.md").read_text().splitlines()
    for above, line, below in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if line.startswith("|") and not above.startswith("|"):
            assert set(below) <= set("|-"), line


def is_a_test(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")


def test_all_tables_are_walked() -> None:
    attacks = (ROOT / "docs/security.md").read_text().splitlines()
    heads = [line for line in attacks if line.startswith(("| attack or fault |", "| fault |"))]
    assert len(heads) > 5
    assert all("| test |" in head for head in heads)
    assert len(rows()) > 60


PURPOSE = re.compile(
    r"""b"(skincheck\.[\w.]+)"|_SALT = "([\w.]+)"|info=b"([\w.]+)"|salted_hmac\("([\w.]+)\""""
    r"""|^PURPOSE = "([\w.]+)\"""",
    re.MULTILINE,
)


def test_every_purpose_of_a_key_is_in_the_inventory() -> None:
    paths = [
        path
        for room in ("accounts", "screening", "skincheck_site")
        for path in (ROOT / room).rglob("*.py")
        if "migrations" not in path.parts
    ]
    found = {
        next(filter(None, match)) for path in paths for match in PURPOSE.findall(path.read_text())
    }
    assert len(found) > 15
    text = (ROOT / "docs" / "security.md").read_text()
    keys = text.split("## Keys\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in keys.splitlines() if line.startswith("| from it: ")]
    assert set(re.findall(r"`([\w.]+)`", " ".join(rows))) <= found
    assert found <= set(re.findall(r"`([\w.]+)`", keys))  # some keys derive from others
    signing = [path for path in paths if "signing.dumps" in path.read_text()]
    assert signing
    assert all("_SALT" in path.read_text() for path in signing)
