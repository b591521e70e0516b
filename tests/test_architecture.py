"""The order of the rooms, and a few habits, read from the source itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.types import Diagnosis

ROOT = Path(__file__).resolve().parents[1]

# Each room may import from itself and from those above it. The longest matching prefix counts.
ROOMS = (
    ("ml",),
    ("screening.errors",),
    ("screening.images.sandbox", "screening.images.dicom", "screening.operations.storage"),
    (
        "screening.images.cleaning",
        "screening.images.synthetic",
        "screening.measurements.contours",
        "screening.body_map.drawing",
    ),
    ("screening.images.decoder",),
    ("accounts.models",),
    ("accounts.scopes",),
    (
        "accounts.services",
        "accounts.applications",
        "accounts.authentication",
        "accounts.permissions",
        "accounts.invitations",
        "accounts.mail",
    ),
    ("screening.formatting",),
    ("screening.models.signatures",),
    ("screening.models",),
    ("screening.operations.transience",),
    ("screening.comparisons.setbacks", "screening.operations.heartbeats"),
    ("screening.body_map.regions", "screening.records.plausibility", "screening.images.duplicates"),
    ("screening.reminders.schedule", "screening.reminders.emails"),
    ("screening.webhooks",),
    ("screening.predictions.counting",),
    ("screening.predictions",),
    ("screening.measurements.queries",),
    ("screening.comparisons.services",),
    ("screening.comparisons.alert_rules",),
    ("screening.idempotency", "screening.operations.health"),
    ("screening.tasks",),
    ("screening.records.services", "screening.webhooks.services"),
    ("screening.interop.identifiers", "screening.records.closing"),
    (
        "screening.measurements.outlines",
        "screening.comparisons.marks",
        "screening.body_map.services",
        "screening.reminders.services",
        "screening.records.visits",
        "screening.reviews.services",
    ),
    (
        "screening.records.queries",
        "screening.records.timeline",
        "screening.predictions.advice",
        "screening.predictions.explanation",
        "screening.predictions.overlays",
        "screening.predictions.ugly_duckling",
        "screening.images.delivery",
        "screening.reminders.suggestions",
        "screening.reminders.calendar",
        "screening.reminders.queries",
    ),
    (
        "screening.charts",
        "screening.comparisons.presenters",
        "screening.measurements.presenters",
        "screening.body_map.queries",
    ),
    ("screening.reviews.worklist", "screening.reviews.agreement", "screening.report"),
    ("screening.exchange",),
    ("screening.sweeper",),
    (
        "accounts",
        "screening",
        "screening.web.views",
        "screening.api",
        "screening.web.forms.records",
        "screening.web.forms.webhooks",
        "screening.admin",
        "screening.management",
    ),
    ("skincheck_site",),
)
ANYWHERE = {"screening", "accounts"}  # the bare packages hold nothing
FRAMEWORK_ONLY_IN_TRAINING = {"tensorflow", "keras"}
TRAINING = {
    "train",
    "evaluate",
    "calibrate",
    "export",
    "network",
    "data",
    "augment",
    "backbone",
    "outside",
}


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("ml", "accounts", "screening", "skincheck_site"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                parts = path.relative_to(ROOT).with_suffix("").parts
                yield ".".join(parts).removesuffix(".__init__"), path


def imported(path: Path) -> Iterator[str]:
    """Names of modules that run when ``path`` is imported or used; not those for types only."""
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


def room(module: str) -> int | None:
    found = [
        (len(prefix), level)
        for level, prefixes in enumerate(ROOMS)
        for prefix in prefixes
        if module == prefix or module.startswith(prefix + ".")
    ]
    return max(found)[1] if found else None


ALL = list(modules())


@pytest.mark.parametrize(("module", "path"), ALL, ids=[name for name, _ in ALL])
def test_a_room_imports_only_from_rooms_above_it(module: str, path: Path) -> None:
    own = room(module)
    assert own is not None
    for name in imported(path):
        level = room(name)
        if level is None or name in ANYWHERE:
            continue
        assert level <= own or name == "skincheck_site.checks", f"{module} imports {name}"


@pytest.mark.parametrize(("module", "path"), ALL, ids=[name for name, _ in ALL])
def test_only_training_code_needs_tensorflow(module: str, path: Path) -> None:
    heavy = {name.partition(".")[0] for name in imported(path)} & FRAMEWORK_ONLY_IN_TRAINING
    assert not heavy or (module.startswith("ml.") and module.split(".")[1] in TRAINING)


def test_ml_knows_no_django() -> None:
    for module, path in ALL:
        if module.split(".")[0] == "ml":
            names = {name.partition(".")[0] for name in imported(path)}
            assert not names & {"django", "rest_framework", "celery", "screening", "accounts"}


def test_no_module_is_a_drawer() -> None:
    for module, path in ALL:
        assert path.stem not in {"utils", "helpers", "common"}, module


def test_no_function_is_long() -> None:
    for module, path in ALL:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.end_lineno:
                assert node.end_lineno - node.lineno < 60, f"{module}.{node.name} is long"


def test_no_test_makes_a_lax_client() -> None:
    """Django's and REST framework's own clients switch CSRF protection off."""
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
        if module.startswith("screening.models"):
            assert "def save(" not in source, module


def test_messages_are_sent_after_commit_only() -> None:
    for module, path in ALL:
        if module not in ("screening.tasks", "screening.batches.tasks"):
            for call in (".delay(", ".apply_async(", ".delay_on_commit("):
                assert call not in path.read_text(), f"{module} rings by itself"


def test_the_diagnoses_are_listed_once() -> None:
    """In ``ml.types``. Others may name a few, for what is true of these alone."""
    codes = {one.value for one in Diagnosis}
    templates = [(str(path), path) for path in (ROOT / "templates").rglob("*.html")]
    for name, path in ALL + templates:
        source = path.read_text()
        assert not re.search(r"\bseven\b(?! days)", source, re.IGNORECASE), name
        if name == "ml.types" or path.suffix != ".py":
            continue
        named = {
            node.value if isinstance(node, ast.Constant) else node.attr.lower()
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Constant | ast.Attribute)
        }
        assert len(named & codes) <= 3, name


def test_exceptions_have_one_home() -> None:
    """But for private ones, those that the write path shares with forms, and answers over HTTP."""
    elsewhere = {"SamePicture", "MissingScope"}
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
