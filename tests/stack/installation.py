"""A separate SkinCheck installation for one test: folder, database, broker, and the real processes.

Embedded by default; with ``DATABASE_URL`` and ``REDIS_URL`` set, in a separate PostgreSQL database
and Redis database on those servers. Query the database by SQL: in the test process, Django is
configured for another one.
"""

from __future__ import annotations

import configparser
import fcntl
import hashlib
import os
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg2
import redis

ROOT = Path(__file__).resolve().parents[2]
# Redis has 16, of which each test process takes its share. Not all tests' installations exist at
# once, but a browser test's outlives others.
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_redis_databases = cycle(range(1 + _PROCESS, 16, _PROCESSES))

SOON = {"PREDICTION_LEASE_SECONDS": "2", "PREDICTION_SWEEP_SECONDS": "1"}


class Installation:
    def __init__(self, folder: Path, *, template: str = "template1", **environment: str) -> None:
        """template: the PostgreSQL database to copy."""
        self.folder = folder
        self.environment = {
            **os.environ,
            "VAR_DIR": str(folder),
            "FOUND_CLINICS": "anyone",  # on PostgreSQL, who has confirmed their address
            "ADMINS_NEED_SECOND_FACTOR": "0",  # on PostgreSQL they do
            **environment,
        }
        self.port = free_port()
        self.environment.setdefault("SITE_URL", f"http://127.0.0.1:{self.port}")
        self.database = ""
        self._postgres = self.environment.get("DATABASE_URL")
        self._redis = self.environment.get("REDIS_URL")
        if self._postgres:
            self._create_database(self._postgres, template)
        if self._redis:
            self.environment["REDIS_URL"] = _with_path(self._redis, str(next(_redis_databases)))
            self.empty_broker()

    def python(self, *arguments: str, **environment: str) -> str:
        """Run Python on ``arguments`` in this installation; returns its output."""
        ran = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    @contextmanager
    def running(self, program: str) -> Iterator[subprocess.Popen[bytes]]:
        """``web``, ``worker`` or ``beat``, with the same command as ``script/server``."""
        config = configparser.ConfigParser(interpolation=None)
        config.read(ROOT / "script" / "supervisord.conf")
        section = config[f"program:{program}"]
        command = section["command"].replace("%(ENV_PORT)s", str(self.port))
        command = command.replace("%(ENV_VENV)s/bin/python", sys.executable)
        command = command.replace("%(ENV_WORKERS)s", self.environment.get("WORKERS", "1"))
        variables = section.get("environment", "").replace(",", " ")
        own = dict(pair.split("=") for pair in shlex.split(variables))
        with (self.folder / f"{program}.log").open("ab") as log:
            process = subprocess.Popen(
                shlex.split(command),
                cwd=ROOT,
                env={**self.environment, **own},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            kill_group(process)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if "DATABASE_URL" in self.environment:
            with closing(psycopg2.connect(self.environment["DATABASE_URL"])) as connection:
                return _rows(connection.cursor(), sql)
        with closing(sqlite3.connect(self.folder / "db.sqlite3", timeout=20)) as connection:
            return _rows(connection.cursor(), sql)

    def empty_broker(self) -> None:
        if "REDIS_URL" in self.environment:
            with closing(redis.Redis.from_url(self.environment["REDIS_URL"])) as broker:
                broker.flushdb()
        else:
            for file in self.folder.glob("broker.sqlite3*"):
                file.unlink()

    def remove(self) -> None:
        if self._postgres:
            _on_server(self._postgres, f"DROP DATABASE {self.database} WITH (FORCE)")

    def log(self, program: str) -> str:
        return (self.folder / f"{program}.log").read_text()

    def _create_database(self, server: str, template: str) -> None:
        self.database = f"stack_{uuid4().hex}"
        _on_server(server, f"CREATE DATABASE {self.database} TEMPLATE {template}")
        self.environment["DATABASE_URL"] = _with_path(server, self.database)


@dataclass(frozen=True)
class Template:
    """What installations start from: a folder, and its database if that is on PostgreSQL."""

    folder: Path
    database: str

    def copied(self, folder: Path, **environment: str) -> Installation:
        shutil.copytree(self.folder, folder, copy_function=_link_or_copy)
        return Installation(folder, template=self.database, **SOON | environment)


def template(name: str, make: Callable[[Path], Installation]) -> Template:
    """Made by the first process of a run that asks for it; the others wait for it.

    Without a ``VAR_DIR`` of its own, a run finds that of the run before, unless the migrations, the
    static files or the packages have changed since.
    """
    whole = Path(os.environ.get("VAR_DIR", ROOT / "var")) / "tests" / f"{name}-{_state()}"
    whole.parent.mkdir(parents=True, exist_ok=True)
    with (whole.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.is_dir():
            for former in whole.parent.glob(f"{name}-*"):
                shutil.rmtree(former)
            part = whole.parent / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            made = make(part)
            (part / "database").write_text(made.database)
            part.rename(whole)
    return Template(whole, (whole / "database").read_text())


@cache
def migrated() -> Template:
    """All tables without rows, and the static files. Takes 20 seconds of one core."""

    def make(folder: Path) -> Installation:
        made = Installation(folder)
        made.python("script/prepare.py")
        return made

    return template("migrated", make)


@contextmanager
def installed(folder: Path, **environment: str) -> Iterator[Installation]:
    """A new installation with its tables; its lease and sweep interval are short."""
    made = migrated().copied(folder, **environment)
    try:
        yield made
    finally:
        made.remove()


def _state() -> str:
    """A name for the tables and static files, what they are made with, and the server."""
    digest = hashlib.sha256(os.environ.get("DATABASE_URL", "").encode())
    static = (path for path in (ROOT / "static").rglob("*") if path.is_file())
    sources = sorted((*ROOT.glob("*/migrations/*.py"), *static))
    for path in (*sources, ROOT / "requirements-dev.lock"):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _link_or_copy(source: str, target: str) -> None:
    """Static files are only ever replaced. Everything else is written to."""
    if "/static/" in source:
        with suppress(OSError):  # the target is on another disk
            os.link(source, target)
            return
    shutil.copy2(source, target)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{seconds} s passed, and still not: {what}"
        time.sleep(0.05)


def pool_process(worker: subprocess.Popen[bytes]) -> int:
    """The process that works: the only child of the worker's main process."""
    threads = Path(f"/proc/{worker.pid}/task").glob("*/children")
    found = [int(pid) for thread in threads for pid in thread.read_text().split()]
    assert len(found) == 1
    return found[0]


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL, like a power cut, to the process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def _rows(cursor: Any, sql: str) -> list[tuple[Any, ...]]:
    cursor.execute(sql)
    return list(cursor.fetchall())


def _on_server(url: str, sql: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True  # databases are created and dropped outside transactions
    with closing(connection):
        connection.cursor().execute(sql)


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
