"""Database and storage become unavailable: every image is read exactly once, and clients are told
to retry. S3_AWAY_SECONDS=60 .venv/bin/python -m pytest tests/stack/test_faults.py
"""

from __future__ import annotations

import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.factories import picture
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
    """Every kind of write at once: records, a picture, a token, a page's form."""
    path = site.installation.folder / "db.sqlite3"
    bearer, form = {"Authorization": f"Bearer {site.key}"}, httpx.Client(base_url=site.url)
    with form, httpx.Client(base_url=site.url, headers=bearer, timeout=60) as client:
        patient = client.post("/api/v1/patients/", json={"label": "L-0"}).json()["id"]
        lesion = client.post("/api/v1/lesions/", json={"patient": patient}).json()["id"]
        form.get("/accounts/signup/")
        sign_up = {
            "email": "locked@example.org",
            "password1": "correct horse battery",
            "password2": "correct horse battery",
            "agrees": "on",
            "of_age": "on",
            "csrfmiddlewaretoken": form.cookies["csrftoken"],
        }
        identity = (site.client_id, site.client_secret)
        grant = {"grant_type": "client_credentials"}
        writes = [
            lambda: client.post("/api/v1/patients/", json={"label": "Locked"}),
            lambda: client.patch(f"/api/v1/patients/{patient}/", json={"sex": "female"}),
            lambda: client.post(
                "/api/v1/images/", data={"lesion": lesion}, files={"file": ("a.jpg", picture())}
            ),
            lambda: client.post("/oauth/token", data=grant, auth=identity),
        ]
        with closing(sqlite3.connect(path, isolation_level=None)) as locking:
            locking.execute("BEGIN IMMEDIATE")
            with ThreadPoolExecutor(8) as threads:
                refused = [threads.submit(write) for write in writes]
                page = threads.submit(form.post, "/accounts/signup/", data=sign_up, timeout=60)
                read = [
                    threads.submit(client.get, "/api/v1/patients/"),
                    threads.submit(form.get, "/"),
                ]
                health = threads.submit(client.get, "/health/ready")
            locking.execute("ROLLBACK")
        for answer in (one.result() for one in (*refused, page)):
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["Retry-After"]) > 0
        assert refused[0].result().json()["type"].endswith("/problems/unavailable")
        assert {one.result().status_code for one in (*read, health)} == {200}
        left = site.installation.folder / "media"
        assert not [file for file in left.rglob("*") if file.is_file()]
        assert [write().status_code for write in writes] == [201, 200, 202, 200]
