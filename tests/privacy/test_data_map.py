"""docs/privacy.md names every table and field, and the times in it are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings

from accounts.devices import REMEMBERED
from accounts.models import INVITATION_DAYS
from screening import idempotency
from screening.batches.worker import KEEP_UNFINISHED
from screening.erasure.eraser import MAILED_WITHIN
from screening.exports import worker as exports
from screening.privacy.sharing import LONGEST_DAYS
from screening.webhooks.delivery import LOG_DAYS

TEXT = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text()
TABLES, _, OUTSIDE = TEXT.partition("### Outside the tables")
ROW = re.compile(r"^\| `(\w+)`: (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)
ROWS = ROW.findall(TABLES)
PLAIN = {"id", "created", "modified"}
WITH_OIDC = {"SocialAccount", "SocialToken", "SocialApp"}
"""Tables that are there only with ``OIDC_URL``."""


def fields_by_table() -> dict[str, set[str]]:
    models = [one for one in apps.get_models(include_auto_created=True) if one._meta.managed]
    found = {
        str(one._meta.object_name): {field.name for field in one._meta.concrete_fields} - PLAIN
        for one in models
    }
    assert len(found) == len(models), "two tables have one name"
    return found


def test_every_table_and_every_field_is_named() -> None:
    named = {table: set(re.findall(r"`(\w+)`", fields)) for table, fields, *_ in ROWS}
    assert len(named) == len(ROWS), "a table is named twice"
    there = fields_by_table()
    assert {table: named.get(table) for table in there} == there
    assert named.keys() - there.keys() <= WITH_OIDC


def test_each_row_says_what_how_long_and_who() -> None:
    assert all(cell.strip() for row in ROWS for cell in row)
    lines = [one for one in TABLES.splitlines() if one.startswith("| `")]
    assert len(lines) == len(ROWS)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("Invitation", f"{INVITATION_DAYS} days"),
        ("Session", f"{settings.SESSION_COOKIE_AGE // 86_400} days"),
        ("Share", f"{LONGEST_DAYS} days"),
        ("Export", f"{exports.KEPT.days} days"),
        ("Batch", f"{KEEP_UNFINISHED.days} days"),
        ("Announcement", f"{LOG_DAYS} days"),
        ("Delivery", f"{LOG_DAYS} days"),
        ("Erasure", f"{MAILED_WITHIN.days} days"),
        ("IdempotentRequest", f"{idempotency.KEPT.total_seconds() / 3600:.0f} hours"),
    ],
)
def test_the_times_are_those_of_the_code(table: str, said: str) -> None:
    (row,) = [row for row in ROWS if row[0] == table]
    assert said in " ".join(row[2:4])


def test_the_times_outside_the_tables_are_those_of_the_code() -> None:
    assert f"mark: {REMEMBERED // 86_400} days" in OUTSIDE
    assert f"session: {settings.SESSION_COOKIE_AGE // 86_400} days" in OUTSIDE
    for setting in ("RETENTION_YEARS", "AUDIT_RETENTION_YEARS", "MINIMUM_AGE"):
        assert f"`{setting}` ({getattr(settings, setting)})" in TEXT
