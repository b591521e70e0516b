"""Import contracts and some conventions, checked on the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from ml.diagnoses import Diagnosis

ROOT = Path(__file__).resolve().parents[1]


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("ml", "accounts", "screening", "skincheck_site"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                parts = path.relative_to(ROOT).with_suffix("").parts
                yield ".".join(parts).removesuffix(".__init__"), path


def imported(path: Path) -> Iterator[str]:
    """Names of modules that are imported at run time by ``path``; not those for types only."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


ALL = list(modules())


def test_rooms_keep_to_their_contracts() -> None:
    """Those in pyproject.toml: which room uses which, and what none may use."""
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout


def test_the_drawing_of_the_rooms_is_that_of_the_imports() -> None:
    ran = subprocess.run(
        [sys.executable, "script/rooms", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_the_table_of_rooms_has_all_of_them_from_the_lowest_up() -> None:
    table = (ROOT / "docs/architecture.md").read_text().split("| room | what it does |")[1]
    heads = re.findall(r"^\| (`ml`|`accounts`|`screening\..+?) \|", table, re.MULTILINE)
    named = [f"screening{name}" for head in heads for name in re.findall(r"\.\w+", head)]
    rooms = {path.stem for path in (ROOT / "screening").iterdir() if path.stem[0] != "_"}
    assert {f"screening.{room}" for room in rooms - {"apps", "migrations"}} == set(named)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(one["layers"] for one in contracts["contracts"] if "layers" in one)
    order = [
        {name.strip() for name in re.split(r"[|:]", layer)}
        for layer in reversed(layers)
        if "screening." in layer
    ]
    heights = [next(n for n, layer in enumerate(order) if name in layer) for name in named]
    below = heights[: named.index("screening.tasks")]  # the last row has entry points of all kinds
    assert below == sorted(below), "a room stands above one that it uses"


def test_few_modules_of_screening_are_in_no_room() -> None:
    loose = [path.stem for path in (ROOT / "screening").glob("*.py") if path.stem != "__init__"]
    assert len(loose) <= 12, loose


def test_no_module_is_a_drawer() -> None:
    for module, path in ALL:
        assert path.stem not in {"utils", "helpers", "common"}, module


def test_no_function_is_long() -> None:
    for module, path in ALL:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.end_lineno:
                assert node.end_lineno - node.lineno < 60, f"{module}.{node.name} is long"


def test_no_test_makes_a_lax_client() -> None:
    """Django's and REST framework's own clients disable CSRF protection."""
    lax = {
        "django.test.Client",
        "django.test.client.Client",
        "rest_framework.test.APIClient",
        "django.test.TestCase",
        "rest_framework.test.APITestCase",
    }
    for path in (ROOT / "tests").rglob("*.py"):
        if path.name != "clients.py":
            assert not lax & set(imported(path)), f"{path} does not use tests/clients.py"


def test_no_model_overrides_save_and_nothing_listens_to_signals() -> None:
    for module, path in ALL:
        source = path.read_text()
        assert "django.db.models.signals" not in source, module
        # A stored file's ``save`` is no model's.
        if module.startswith("screening.models") and module != "screening.models.fields":
            assert "def save(" not in source, module


def test_messages_are_sent_after_commit_only() -> None:
    for module, path in ALL:
        if module not in ("screening.tasks", "screening.bells"):
            for call in (".delay(", ".apply_async(", ".delay_on_commit("):
                assert call not in path.read_text(), f"{module} rings by itself"


def test_the_diagnoses_are_listed_once() -> None:
    """In ``ml.diagnoses``. Other modules may name a few, for what applies only to these."""
    codes = {one.value for one in Diagnosis}
    templates = [(str(path), path) for path in (ROOT / "templates").rglob("*.html")]
    for name, path in ALL + templates:
        source = path.read_text()
        assert not re.search(r"\bseven\b(?! days)", source, re.IGNORECASE), name
        if name == "ml.diagnoses" or path.suffix != ".py":
            continue
        named = {
            node.value if isinstance(node, ast.Constant) else node.attr.lower()
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Constant | ast.Attribute)
        }
        assert len(named & codes) <= 3, name


def test_exceptions_have_one_home() -> None:
    """Except private ones, those that the write path shares with forms, and HTTP responses."""
    elsewhere = {"SamePicture", "NoRoom", "MissingScope"}
    for module, path in ALL:
        package = module.split(".")[0]
        if package in ("screening", "accounts") and module != "screening.errors":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    bases = {ast.unparse(base) for base in node.bases}
                    raised = bases & {"Exception", "ValueError", "ValidationError", "RuntimeError"}
                    assert not raised or node.name in elsewhere, f"{module}.{node.name}"


def test_no_example_of_the_document_says_what_the_api_answers() -> None:
    for module, path in ALL:
        if module.startswith("screening.api"):
            assert not re.search(r"\bfields = \[\*[A-Z_]+\]", path.read_text()), module
