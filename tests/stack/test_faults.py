"""Database and storage become unavailable: every image is read exactly once, and clients are told
to retry. S3_AWAY_SECONDS=60 .venv/bin/python -m pytest tests/stack/test_faults.py
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.stack.conftest import Site
from tests.stack.installation import installed, wait_until
from tests.stack.s3 import Storage
from tests.stack.test_crash import states_of

pytestmark = pytest.mark.stack

IMAGES = 8
AWAY_SECONDS = float(os.environ.get("S3_AWAY_SECONDS", "15"))


def test_s3_is_away_for_a_while(tmp_path: Path) -> None:
    storage = Storage()
    with installed(tmp_path / "var", **storage.environment) as made:
        with storage.there():
            made.python("-m", "tests.stack.add_images", str(IMAGES))
        with made.running("worker"), made.running("sweeper"):
            put_off = "SELECT count(*) FROM screening_prediction WHERE setbacks > 0"
            wait_until(lambda: made.query(put_off) == [(IMAGES,)], "all are put off")
            time.sleep(AWAY_SECONDS)
            assert not {"failed", "succeeded"} & set(states_of(made))
            with storage.there():
                wait_until(lambda: states_of(made) == {"succeeded": IMAGES}, "all are read", 150)
        assert made.query(
            "SELECT count(DISTINCT image_id), count(*), max(attempts) FROM screening_prediction"
        ) == [(IMAGES, IMAGES, 1)]


@pytest.mark.skipif("DATABASE_URL" in os.environ, reason="of SQLite, which has one writer")
def test_a_locked_database_asks_callers_to_come_again(site: Site) -> None:
    path = site.installation.folder / "db.sqlite3"
    headers = {"Authorization": f"Bearer {site.key}"}
    with httpx.Client(base_url=site.url, headers=headers, timeout=60) as client:
        assert client.get("/api/v1/patients/").status_code == 200
        with closing(sqlite3.connect(path, isolation_level=None)) as locking:
            locking.execute("BEGIN IMMEDIATE")
            refused = client.post("/api/v1/patients/", json={"label": "Locked"})
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert refused.json()["type"].endswith("/problems/unavailable")
            assert client.get("/health/ready").status_code == 200
            locking.execute("ROLLBACK")
        assert client.post("/api/v1/patients/", json={"label": "Locked"}).status_code == 201
