"""Looking writes nothing: every GET of the site, by a viewer, but for logs of who looked."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from screening.images import sandbox
from screening.models import LesionImage
from tests.access import DONE, MATRIX
from tests.transactions import rolled_back

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

WRITE = re.compile(r'(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM) "(\w+)"')
LOGS = {
    "django_session",
    "screening_auditentry",
    "screening_auditpart",
    "screening_auditsubject",
    "screening_shareopening",
    "usersessions_usersession",
}
"""Who is logged in, and who looked at what."""
FETCHED = {"export_file", "export_fetch", "api:export-file"}
"""They note when the file was fetched, with the export."""


def written(name: str, sql: str) -> str | None:
    """The table that the statement writes to, unless it is a log."""
    found = WRITE.match(sql)
    if found is None or found[1] in LOGS:
        return None
    if name in FETCHED and re.match(
        r'UPDATE "screening_export" SET "fetched_at" = [^,]+ WHERE', sql
    ):
        return None
    return found[1]


DECODES = re.compile(r"report|letter|dicom$|dicomweb:(study|series|instance|rendered|frames)")
"""Names of addresses that put a picture's pixels into another format."""


def refuse(*arguments: Any, **options: Any) -> None:
    raise AssertionError("a GET decodes a picture")


@pytest.mark.parametrize("name", [name for name, line in MATRIX.items() if "GET" in line.methods])
def test_a_get_writes_nothing(name, everything, clients, monkeypatch):
    if not DECODES.search(name):
        monkeypatch.setattr(sandbox, "run", refuse)
    line, world = MATRIX[name], everything.clinic
    sent = line.methods["GET"]
    may = [one for one in ("viewer", *clients) if sent.answer(one, world) is DONE]
    who = may[0] if may else "viewer"
    url = reverse(name, args=line.args(world))
    with rolled_back(), CaptureQueriesContext(connection) as queries:
        response = clients[who].get(url)
        if response.streaming:
            response.getvalue()
    tables = {table for one in queries if (table := written(name, one["sql"]))}
    assert not tables, (who, url)


@pytest.mark.parametrize("rendition", ["image", "screen", "thumbnail"])
def test_nor_does_any_rendition_of_a_picture(rendition, everything, clients, monkeypatch):
    monkeypatch.setattr(sandbox, "run", refuse)
    LesionImage.objects.update(width=2400, height=1800)  # without a copy in the size of a screen
    world, client = everything.clinic, clients["viewer"]
    with CaptureQueriesContext(connection) as queries:
        response = client.get(reverse("media", args=[world.image.pk, rendition]))
        assert response.status_code == 200 and response.getvalue()
    assert not [one["sql"] for one in queries if written("media", one["sql"])]


def test_a_write_would_be_found():
    for sql in (
        'INSERT INTO "screening_image" ("id")',
        'INSERT OR IGNORE INTO "screening_image"',
        'UPDATE "screening_image" SET "screen" = %s',
        'DELETE FROM "screening_image" WHERE',
    ):
        assert written("media", sql) == "screening_image"
    assert written("image", 'UPDATE "screening_export" SET "fetched_at" = 1 WHERE') is not None
