"""PostgreSQL and Redis of a test's own, to be stopped and started again while others run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stack.installation import Installation, Template, free_port

_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[-2]))
# It refuses to run as root.
_AS_POSTGRES = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []

needs_servers = pytest.mark.skipif(
    not (_POSTGRES and shutil.which("redis-server")),
    reason="Debian's packages postgresql and redis-server are not there",
)


class Postgres:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"postgres://skincheck@127.0.0.1:{self.port}/skincheck"
        self._run("initdb", "-D", str(folder / "data"), "-U", "skincheck", "-A", "trust")
        self.start()
        self._run(
            "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "skincheck", "skincheck"
        )

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder}"
        self._control("start", "-w", "-o", options, "-l", str(self._folder / "log"))

    def stop(self) -> None:
        """As a power cut does."""
        self._control("stop", "-m", "immediate")

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_AS_POSTGRES, str(_POSTGRES[-1] / program), *arguments]
        subprocess.run(command, cwd=self._folder, check=True, stdout=subprocess.DEVNULL)


class Redis:
    """Append-only, as in the compose file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "yes", "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not self._answers():
            assert self._process.poll() is None

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def flush(self) -> None:
        self._ask("flushall")

    def _answers(self) -> bool:
        return b"PONG" in self._ask("ping")

    def _ask(self, *words: str) -> bytes:
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, check=False, capture_output=True).stdout


@contextmanager
def postgres() -> Iterator[Postgres]:
    with _folder() as folder:
        server = Postgres(folder)
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):  # it is stopped already
                server.stop()


@contextmanager
def redis() -> Iterator[Redis]:
    with _folder() as folder:
        server = Redis(folder)
        try:
            yield server
        finally:
            server.stop()


@dataclass(frozen=True)
class Stores:
    """Both servers, and an installation on them that has its tables."""

    postgres: Postgres
    redis: Redis
    template: Template

    @contextmanager
    def installed(self, folder: Path) -> Iterator[Installation]:
        environment = _environment(self.postgres, self.redis)
        made = self.template.copied(folder, **environment, PREDICTION_LEASE_SECONDS="10")
        try:
            yield made
        finally:
            made.remove()


@contextmanager
def stores(folder: Path) -> Iterator[Stores]:
    """folder: for the template."""
    with postgres() as database, redis() as broker:
        folder.mkdir()
        made = Installation(folder, **_environment(database, broker))
        made.python("script/prepare.py")
        yield Stores(database, broker, Template(folder, made.database))


def _environment(postgres: Postgres, redis: Redis) -> dict[str, str]:
    return {
        "DATABASE_URL": postgres.url,
        "REDIS_URL": redis.url,
        "SECRET_KEY": "of a test only, and of no use elsewhere: 0123456789",
    }


@contextmanager
def _folder() -> Iterator[Path]:
    """One that the user ``postgres`` may enter, which pytest's is not."""
    with tempfile.TemporaryDirectory(prefix="skincheck-services.", dir="/tmp") as name:
        if _AS_POSTGRES:
            shutil.chown(name, "postgres", "postgres")
        yield Path(name)
