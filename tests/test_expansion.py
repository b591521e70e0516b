"""Migrations leave the code of the version before running (docs/operations.md, Upgrade)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from django.db.migrations import operations as migration_operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState
from django.db.models.fields import NOT_PROVIDED

BASELINE = {"accounts": "0007_reminder_mail", "screening": "0036_screen_renditions"}
"""The last migrations that assume that the site is stopped. Later ones keep the rule."""

TAKES_AWAY = (
    migration_operations.DeleteModel,
    migration_operations.RemoveField,
    migration_operations.RenameField,
    migration_operations.RenameModel,
    migration_operations.AlterModelTable,
    migration_operations.RunSQL,
)
Key = tuple[str, str]


@pytest.fixture(autouse=True)
def all_migrations(settings: Any) -> None:
    """Even if the tables were made without them."""
    settings.MIGRATION_MODULES = {}


def in_database(operations: list[Any]) -> Iterator[Any]:
    for operation in operations:
        if isinstance(operation, migration_operations.SeparateDatabaseAndState):
            yield from in_database(operation.database_operations)
        else:
            yield operation


def faults() -> list[str]:
    """What code from the baseline on would fail at, by migration."""
    loader = MigrationLoader(None)
    state = loader.project_state(list(BASELINE.items()))
    found = []
    old = {key: set(model.fields) for key, model in state.models.items()}
    known = set(loader.graph._generate_plan(list(BASELINE.items()), at_end=True))
    targets = [key for app in BASELINE for key in loader.graph.leaf_nodes(app)]
    for app, name in loader.graph._generate_plan(targets, at_end=True):
        if (app, name) in known:
            continue
        migration = loader.graph.nodes[app, name]
        if app in BASELINE:
            found += [f"{app}.{name}: {why}" for why in broken_by(migration, state, old)]
        state = migration.mutate_state(state, preserve=False)
    return found


def broken_by(migration: Migration, state: ProjectState, old: dict[Key, set[str]]) -> Iterator[str]:
    """old: the columns, by model, that old code writes."""
    app, removed = migration.app_label, {}
    for operation in in_database(migration.operations):
        model = getattr(operation, "model_name_lower", "")
        written = old.get((app, model))
        if isinstance(operation, TAKES_AWAY):
            yield f"{operation.describe()}"
        elif written is None:  # a new table, which old code does not know
            continue
        elif isinstance(operation, migration_operations.AddField):
            if needs_a_value(operation.field):
                yield f"{model}.{operation.name} has no default in the database"
        elif isinstance(operation, migration_operations.AlterField):
            was = state.models[app, model].fields[operation.name]
            if is_narrower(operation.field, was):
                yield f"{model}.{operation.name} takes less than before"
        elif isinstance(operation, migration_operations.RemoveConstraint):
            constraints = state.models[app, model].options["constraints"]
            removed |= {one.name: one for one in constraints if one.name == operation.name}
        elif isinstance(operation, migration_operations.AddConstraint):
            before = removed.get(operation.constraint.name)
            if not is_of_new_columns(operation.constraint, written) and not is_wider(
                operation.constraint, before
            ):
                yield f"{operation.constraint.name} may refuse what old code writes"


def needs_a_value(field: Any) -> bool:
    return not (field.many_to_many or field.null or field.db_default is not NOT_PROVIDED)


def is_narrower(field: Any, was: Any) -> bool:
    if was.null and not field.null:
        return True
    lengths = was.max_length, field.max_length
    return None not in lengths and lengths[1] < lengths[0]


def is_of_new_columns(constraint: Any, written: set[str]) -> bool:
    """Whether a column takes part that old code leaves at its default."""
    return bool(columns(constraint) - written)


def columns(constraint: Any) -> set[str]:
    named = set(getattr(constraint, "fields", ()))
    return named | {name.split("__")[0] for name, _ in leaves(constraint.condition)}


def leaves(condition: Any) -> Iterator[tuple[str, Any]]:
    for child in getattr(condition, "children", ()):
        if isinstance(child, models.Q):
            yield from leaves(child)
        else:
            yield child


def is_wider(constraint: Any, before: Any) -> bool:
    """Whether it takes the place of one that allowed some of the same values."""
    if before is None:
        return False
    (name, values), (name_before, values_before) = (
        next(leaves(one.condition)) for one in (constraint, before)
    )
    same = name == name_before and name.endswith("__in")
    return same and set(values) >= set(values_before)


def test_no_migration_breaks_the_code_before_it():
    assert faults() == []


def built(*operations: Any, app: str = "screening") -> list[str]:
    """The faults of one more migration."""
    loader = MigrationLoader(None)
    baseline = list(BASELINE.items())
    state = loader.project_state(baseline)
    old = {key: set(model.fields) for key, model in state.models.items()}
    migration = Migration("9999_next", app)
    migration.operations = list(operations)
    return list(broken_by(migration, state, old))


ADDED = migration_operations.AddField


@pytest.mark.parametrize(
    "operation",
    [
        migration_operations.DeleteModel("Patient"),
        migration_operations.RemoveField("Patient", "label"),
        migration_operations.RenameField("Patient", "label", "name"),
        migration_operations.RenameModel("Patient", "Person"),
        migration_operations.SeparateDatabaseAndState(
            database_operations=[migration_operations.RemoveField("Patient", "label")]
        ),
        ADDED("Patient", "more", models.CharField(max_length=9, default="")),
        migration_operations.AlterField("Patient", "label", models.CharField(max_length=9)),
        migration_operations.AlterField("Patient", "birth_year", models.IntegerField()),
        migration_operations.AddConstraint(
            "Patient", models.CheckConstraint(condition=~models.Q(label=""), name="has_a_label")
        ),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_breaks_it_is_found(operation):
    assert len(built(operation)) == 1


@pytest.mark.parametrize(
    "operation",
    [
        ADDED("Patient", "more", models.CharField(max_length=9, db_default="")),
        ADDED("Patient", "more", models.IntegerField(null=True)),
        migration_operations.SeparateDatabaseAndState(
            state_operations=[migration_operations.DeleteModel("AccessLog")]
        ),
        migration_operations.CreateModel("New", [("id", models.AutoField(primary_key=True))]),
        migration_operations.AddConstraint(
            "Patient", models.CheckConstraint(condition=~models.Q(more="x"), name="more_is_not_x")
        ),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_only_adds_is_not(operation):
    assert built(operation) == []
