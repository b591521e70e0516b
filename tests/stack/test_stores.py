"""PostgreSQL, Redis and the disk fail while a program adds pictures: it is asked to retry, health
says what is missing, and every image is read exactly once.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.stack import attack, services
from tests.stack.installation import Installation, installed, wait_until
from tests.stack.server import server
from tests.stack.uploads import Uploads, assert_each_is_read_once, uploading

pytestmark = pytest.mark.stack

ROOM = "150m"
"""Partly used by the static files. With less than 50 MB left, health reports it."""


def ready(installation: Installation) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{installation.port}/health/ready", timeout=60)


def _read(installation: Installation) -> int:
    sql = "SELECT count(*) FROM screening_prediction WHERE state = 'succeeded'"
    return int(installation.query(sql)[0][0])


def _is_told(uploads: Uploads, *statuses: int) -> None:
    wait_until(lambda: any(uploads.statuses[one] for one in statuses), f"{statuses} are answered")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.Stores]:
    """Each test leaves both servers running."""
    with services.stores(tmp_path_factory.mktemp("stores") / "var") as made:
        yield made


@pytest.mark.any_database  # it brings its own
@services.needs_servers
def test_redis_is_flushed_stopped_and_started(stores: services.Stores, tmp_path: Path) -> None:
    redis = stores.redis
    with (
        stores.installed(tmp_path / "var") as installation,
        server(installation, tmp_path / "output"),
    ):
        _wait_for_the_server(tmp_path / "output")
        with uploading(installation) as uploads:
            uploads.one_more()
            redis.flush()
            uploads.one_more()
            redis.stop()
            before = _read(installation)
            uploads.one_more()
            assert ready(installation).status_code == 200
            wait_until(lambda: _read(installation) > before + 1, "they are read without it")
            redis.start()
            uploads.one_more()
        assert_each_is_read_once(installation, uploads)
        assert set(uploads.statuses) == {202}


@pytest.mark.any_database  # it brings its own
@services.needs_servers
def test_postgres_is_restarted(stores: services.Stores, tmp_path: Path) -> None:
    postgres = stores.postgres
    with (
        stores.installed(tmp_path / "var") as installation,
        server(installation, tmp_path / "output"),
    ):
        _wait_for_the_server(tmp_path / "output")
        with uploading(installation) as uploads:
            for _ in range(3):
                uploads.one_more()
            postgres.stop()
            _is_told(uploads, 503)
            missing = ready(installation)
            assert (missing.status_code, missing.json()["missing"]) == (503, ["database"])
            postgres.start()
            uploads.one_more()
            postgres.stop()
            postgres.start()
            uploads.one_more()
        assert_each_is_read_once(installation, uploads)
        assert set(uploads.statuses) <= {0, 202, 409, 503}
        wait_until(lambda: ready(installation).status_code == 200, "it is ready")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder))
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here: that takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(disk: Path) -> None:
    """With what others have freed meanwhile too."""
    with (
        (disk / "filler").open("ab", buffering=0) as filler,
        pytest.raises(OSError, match="No space"),
    ):
        while True:
            filler.write(bytes(4096))


def test_the_disk_is_full(disk: Path, tmp_path: Path) -> None:
    """The whole folder's disk: pictures, logs, and on the embedded default the database too."""
    with installed(disk / "var", PREDICTION_LEASE_SECONDS="10") as installation:
        (installation.folder / "demo-logins.txt").touch()
        with server(installation, tmp_path / "output"):
            _wait_for_the_server(tmp_path / "output")
            with uploading(installation) as uploads:
                uploads.one_more()
                _fill(disk)
                _is_told(uploads, 503, 507)
                told = ready(installation)
                assert (told.status_code, told.json()["missing"]) == (503, ["storage"])
                _fill(disk)
                (disk / "filler").unlink()
                uploads.one_more()
            assert_each_is_read_once(installation, uploads)
            assert set(uploads.statuses) <= {202, 409, 503, 507}
            wait_until(lambda: ready(installation).status_code == 200, "it is ready")
            assert attack.orphans(installation) == []


def _wait_for_the_server(output: Path) -> None:
    wait_until(lambda: "Stop: Ctrl-C" in output.read_text(), "it is ready")
