"""All code that shows or sorts by an outcome uses the one rule, or concerns a single picture.

A place is a function, a class outside its methods, or a template. If it reads a model's findings,
it calls ``predictions.outcomes``, or is listed here as concerning a single picture, with the
reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULE = "screening.predictions.outcomes"
OUTSIDE = (
    "screening/models/",  # a row's own properties
    "screening/migrations/",
    "screening/predictions/outcomes.py",  # the rule
    "screening/predictions/queries.py",  # the readings of one picture
    "screening/predictions/default_reading.py",  # it selects the reading itself
)
FOUND = {
    "outcome",
    "outcome_told",
    "outcome_told_at_first",
    "is_grave",
    "get_outcome_display",
    "p_malignant",
}
READINGS = {"counting_reading", "latest_prediction", "latest_attempt"}
"""The ``predictions.queries`` that give a picture's reading, and fields and filters of the name."""
EXPRESSIONS = {"TOLD", "RAISED", "RAISED_AT_FIRST"}
"""The same in SQL, by the name of the constant."""
CONDITION = "told"
"""The same as a method of querysets."""
LOOKUPS = {"filter", "exclude", "get", "Q", "When", "alias", "annotate", "values", "update"}
GIVEN = {"standing", "standing_of", "standing_beside", "with_latest", "most_severe_first"}
"""The ``records.queries`` that pass on the rule's result."""

ONE_PICTURE = {
    "screening/admin.py:PredictionAdmin": "a list of readings, for operators",
    "screening/api/dicomweb/views.py:StoreView.post": "what was stored, no outcome",
    "screening/api/filters.py:PredictionFilter.told": "a list of readings",
    "screening/api/maps.py:body": "one reading",
    "screening/api/readings.py:PredictionSerializer.Meta": "one reading",
    "screening/api/serializers.py:ImageSerializer.Meta": "one picture",
    "screening/api/serializers.py:ImageSerializer.get_latest_prediction": "one picture",
    "screening/api/viewsets.py:ImageViewSet.create": "whether the picture is read by now",
    "screening/batches/results.py:_record": "a table of readings, with whether each counts",
    "screening/batches/rows.py:_finish": "the reading that the row waits for",
    "screening/charts/lesion.py:_outcomes": "each picture by its day",
    "screening/charts/lesion.py:_rows": "each picture by its day",
    "screening/charts/lesion.py:_share_axis": "each picture by its day",
    "screening/charts/lesion.py:_summary": "each picture by its day",
    "screening/charts/lesion.py:_trace": "each picture by its day",
    "screening/charts/lesion.py:reading_over_time": "each picture by its day",
    "screening/charts/patient.py:_chance": "each picture by its day",
    "screening/charts/patient.py:_images": "each picture by its day",
    "screening/charts/patient.py:_rows": "each picture by its day",
    "screening/comparisons/alerts.py:_reading": "two pictures compared",
    "screening/comparisons/alerts.py:_visit": "two pictures compared",
    "screening/comparisons/presenters.py:_read": "two pictures compared",
    "screening/comparisons/presenters.py:readings_of": "two pictures compared",
    "screening/comparisons/presenters.py:what_changed": "two pictures compared",
    "screening/predictions/arrivals.py:_is_graver": "one picture, before and after",
    "screening/interop/dicom/readings.py:_group": "one reading",
    "screening/interop/dicom/readings.py:_outcome": "one reading",
    "screening/interop/dicom/readings.py:_probabilities": "one reading",
    "screening/interop/dicom/readings.py:has_mask": "one reading",
    "screening/interop/dicom/readings.py:the module": "which readings have a mask",
    "screening/interop/fhir/capability.py:_resource": "what may be included, no outcome",
    "screening/interop/fhir/observation.py:_probabilities": "one reading",
    "screening/interop/fhir/observation.py:render_prediction": "one reading",
    "screening/interop/fhir/provenance.py:render": "one reading",
    "screening/interop/fhir/risk_assessment.py:render": "one reading",
    "screening/interop/fhir/risk_assessment.py:rows": "readings that have a chance to tell",
    "screening/management/commands/example.py:read": "a drawn picture, not stored",
    "screening/management/commands/rescreen.py:Command._compare": "readings by two versions",
    "screening/management/commands/rescreen.py:Command._tell_changes": "readings by two versions",
    "screening/management/commands/screen.py:Command._told": "files, not stored",
    "screening/management/commands/screen.py:Command._write_advice": "files, not stored",
    "screening/management/commands/screen.py:Command._write_json": "files, not stored",
    "screening/management/commands/screen.py:Command._write_row": "files, not stored",
    "screening/measurements/masks.py:masked_prediction": "the mask of one picture",
    "screening/measurements/services.py:unmeasured": "why one picture is not measured",
    "screening/predictions/advice.py:_flagged_text": "the words of one reading",
    "screening/predictions/advice.py:advise": "the words of one reading",
    "screening/predictions/details.py:_left": "which picture is not read again",
    "screening/predictions/explanation.py:explain": "one reading",
    "screening/predictions/queue.py:the module": "the columns of one reading",
    "screening/predictions/queue.py:_result": "the columns of one reading",
    "screening/predictions/ugly_duckling.py:_assessable": "features of readings",
    "screening/records/queries.py:_latest_outcome": "of the newest picture, beside what stands",
    "screening/records/queries.py:_standing_readings": "the readings that the rule found",
    "screening/records/queries.py:disagreements": "readings by two versions",
    "screening/records/timeline.py:_told": "each picture by its day",
    "screening/report/chart.py:_Figure.__init__": "each picture by its day",
    "screening/report/chart.py:_Figure.line": "each picture by its day",
    "screening/report/chart.py:chance_over_time": "each picture by its day",
    "screening/report/patient_report.py:_versions": "the versions that read",
    "screening/report/sections.py:_outcome_of": "one picture",
    "screening/report/sections.py:_told": "one picture",
    "screening/report/sections.py:earlier": "one picture",
    "screening/report/sections.py:recorded": "one picture",
    "screening/reviews/agreement.py:_readings": "model beside clinician, by picture",
    "screening/templatetags/screening_tags.py:the module": "filters for one picture",
    "screening/web/views/images.py:_measures_come": "whether a picture is measured soon",
    "screening/web/views/images.py:_reading": "one picture, beside what stands",
}
TEMPLATES_OF_ONE_PICTURE = {
    "front/landing.html": "a drawn picture, not stored",
    "screening/correct.html": "an act that is hard to undo, no outcome",
    "screening/help.html": "what each outcome means",
    "screening/partials/context.html": "one reading: what the model was told",
    "screening/partials/prediction_status.html": "one picture",
    "screening/partials/reading_badge.html": "one picture",
    "screening/partials/result.html": "one picture",
    "screening/partials/strip_picture.html": "each picture by its day",
    "screening/partials/told_before.html": "one picture, what was told before",
    "screening/partials/was_graver.html": "one picture, what was told before",
}


def places(tree: ast.Module) -> Iterator[tuple[str, list[ast.AST]]]:
    """Each function with its inner ones, and the code of a class or a module outside functions."""

    def visit(node: ast.AST, name: str) -> Iterator[tuple[str, list[ast.AST]]]:
        outside: list[ast.AST] = []
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}{child.name}", list(ast.walk(child))
            elif isinstance(child, ast.ClassDef):
                yield from visit(child, f"{name}{child.name}.")
            else:
                outside += ast.walk(child)
        yield name.rstrip(".") or "the module", outside

    return visit(tree, "")


def tells(node: ast.AST) -> bool:
    """Whether it reads findings: an attribute, a condition, or a column by name."""
    match node:
        case ast.Attribute(attr=name, ctx=ast.Load()):
            return name in FOUND | READINGS
        case ast.Name(id=name, ctx=ast.Load()):
            return name in EXPRESSIONS | READINGS
        case ast.Call(func=ast.Attribute(attr=name)) if name == CONDITION:
            return True
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            named = node.keywords if name in LOOKUPS else []
            paths = [keyword.arg or "" for keyword in named]
            paths += [text for one in node.args if (text := _text(one))]
        case ast.Subscript(slice=key, ctx=ast.Load()):
            paths = [_text(key)]
        case ast.List() | ast.Tuple() | ast.Set():
            paths = [text for one in node.elts if (text := _text(one))]
        case _:
            return False
    return any((FOUND | READINGS) & set(path.lstrip("-").split("__")) for path in paths)


def _text(node: ast.AST) -> str:
    value = node.value if isinstance(node, ast.Constant) else ""
    return value if isinstance(value, str) else ""


def names_of_the_rule(tree: ast.Module) -> set[str]:
    """Under the names that the module imports them by."""
    room, _, module = RULE.rpartition(".")
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if node.module == RULE or (node.module == room and alias.name == module)
    }


def telling(source: str) -> dict[str, bool]:
    """The places of a module that show an outcome, and whether each uses the rule."""
    tree = ast.parse(source)
    asked = names_of_the_rule(tree) | GIVEN
    found = {}
    for name, nodes in places(tree):
        if any(map(tells, nodes)):
            used = {node.id for node in nodes if isinstance(node, ast.Name)}
            used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            found[name] = bool(used & asked)
    return found


def of_one_picture() -> set[str]:
    """All places in the code that show an outcome without the rule."""
    found = set()
    for room in ("screening", "accounts", "skincheck_site"):
        for path in (ROOT / room).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if not name.startswith(OUTSIDE):
                places = telling(path.read_text())
                found |= {f"{name}:{place}" for place, asks in places.items() if not asks}
    return found


def test_whoever_tells_an_outcome_asks_the_rule_or_tells_of_one_picture():
    assert of_one_picture() == ONE_PICTURE.keys()


def named_in_the_models() -> set[str]:
    """Functions and constants of the models and of ``predictions.queries`` that read a finding, for
    all to use.
    """
    found = set()
    queries = ROOT / "screening/predictions/queries.py"
    for path in (*(ROOT / "screening/models").glob("*.py"), queries):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name):
                    names = [name]
                case ast.Assign(targets=[ast.Name(id=name)]) if name.isupper():
                    names = [name]
                case _:
                    continue
            if any(map(tells, ast.walk(node))):
                found |= {name for name in names if not name.startswith("_")}
    return found


def test_no_name_of_the_models_for_a_finding_is_overlooked():
    """Private names are not used elsewhere."""
    named = named_in_the_models()
    assert named <= FOUND | READINGS | EXPRESSIONS | {CONDITION}
    assert {"is_grave", "TOLD", "told", "latest_prediction"} <= named


SENDERS = {
    "accounts/invitations.py",
    "accounts/mail.py",
    "accounts/notices.py",
    "screening/erasure/receipts.py",
    "screening/exports/emails.py",
    "screening/privacy/emails.py",
    "screening/reminders/calendar.py",
    "screening/reminders/emails.py",
    "screening/webhooks/delivery.py",
    "screening/webhooks/outbox.py",
}
SENDS = ("EmailMessage", "icalendar", "Announcement.objects.create", "Delivery(webhook=")
OUTCOME_WORDS = re.compile("urgent|see_doctor|see a doctor|not.assessable", re.IGNORECASE)


def test_what_is_sent_names_what_there_is_to_look_at_and_no_outcome():
    """An outcome may have changed when the message is read; the page shows the current one."""
    found = {}
    for room in ("screening", "accounts", "skincheck_site"):
        for path in (ROOT / room).rglob("*.py"):
            source = path.read_text()
            if any(one in source for one in SENDS):
                words = OUTCOME_WORDS.findall(source)
                found[str(path.relative_to(ROOT))] = {**telling(source), **dict.fromkeys(words)}
    assert found == {name: {} for name in SENDERS}
    texts = {path: path.read_text() for path in (ROOT / "templates").rglob("*.txt")}
    assert not [path for path, text in texts.items() if TELLS.search(text)]
    assert not [path for path, text in texts.items() if OUTCOME_WORDS.search(text)]


TELLS = re.compile(
    r"is_grave|outcome_told|counting_reading|latest_prediction|latest_attempt|\.told\b|outcome_badge"
    r"|\.outcome\b|outcome_word|p_malignant|get_outcome_display|_outcome\b"
    r"|partials/(result|reading_badge)\.html"
)


def test_so_does_each_template():
    found = set()
    for path in (ROOT / "templates").rglob("*.html"):
        source = path.read_text()
        if TELLS.search(source) and "standing" not in source:
            found.add(str(path.relative_to(ROOT / "templates")))
    assert found == TEMPLATES_OF_ONE_PICTURE.keys()


@pytest.mark.parametrize(
    "line",
    [
        "return reading.outcome",
        "return Prediction.objects.filter(outcome='urgent')",
        "return lesions.exclude(images__predictions__outcome__in=GRAVE)",
        "return Q(outcome=Outcome.URGENT)",
        "return readings.values_list('outcome', flat=True)",
        "return readings.order_by('-p_malignant')",
        "return max(F('p_malignant'))",
        "return reading.get_outcome_display()",
        "return latest_prediction(lesion.latest_image)",
        "return queries.latest_attempt(lesion.latest_image)",
        "return [counting_reading(one) for one in images]",
        "return getattr(reading, 'outcome')",
        "return row['outcome']",
        "return reading.is_grave",
        "return Prediction.objects.told('urgent')",
        "return readings.annotate(shown=TOLD)",
    ],
)
def test_none_is_overlooked(line):
    assert telling(f"def told(lesion):\n    {line}\n") == {"told": False}
    asking = f"from screening.predictions import outcomes\ndef told(lesion):\n    {line}\n"
    assert telling(asking) == {"told": False}
    asking = asking.replace("return ", "return outcomes.standing_of(lesion), ")
    assert telling(asking) == {"told": True}


def test_what_tells_nothing_is_none():
    source = (
        "def told(advice):\n    return Advice(outcome='', title=advice.title), {'outcome': 1}\n"
    )
    assert telling(source) == {}
