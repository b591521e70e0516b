"""Each of our services in ``docker-compose.yml``, as its container runs it: its command, variables,
secrets and health check, the files that the image has, as a user without capabilities, with every
folder read-only but its volumes and /tmp. PostgreSQL, Redis and S3 are the tests' own.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.stack import services
from tests.stack.installation import ROOT, free_port, kill_group, wait_until
from tests.stack.s3 import Storage

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
USER = "10001"
HOST = "localhost"

# Private mounts, as a container has them: everything is read-only, then the writable is put on top.
# Interpreter and packages may be in a home that nobody else can enter.
CONTAINER = """
set -e
mount --make-rprivate /
hidden= homes=
for place in "$PYTHON_HOME" "$VENV"; do
    setpriv --reuid $USER_ID --clear-groups test -x "$place/bin" || hidden="$hidden $place"
done
for place in $hidden; do
    mkdir -p "$FOLDER/kept$place"
    mount --bind "$place" "$FOLDER/kept$place"
done
for place in $hidden; do
    home=/$(echo "$place" | cut -d/ -f2)
    case " $homes " in *" $home "*) ;; *) mount -t tmpfs -o mode=755 tmpfs "$home" ;; esac
    homes="$homes $home"
    mkdir -p "$place"
    mount --move "$FOLDER/kept$place" "$place"
done
mount -t tmpfs -o mode=755 tmpfs /srv
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /srv/skincheck /srv/var /srv/volume /run/secrets
mount --bind "$FOLDER/image" /srv/skincheck
mount --bind "$FOLDER/var" /srv/var
mount --bind "$FOLDER/secrets" /run/secrets
mount --bind "$FOLDER/volume" /srv/volume
cut -d' ' -f5 /proc/self/mountinfo | grep -Ev '^/(proc|sys|dev|srv/volume)(/|$)' |
while read -r place; do  # some lie under others, where nobody can write either
    mount -o remount,bind,ro "$place" 2>/dev/null || true
done
for volume in $VOLUMES; do mount --bind /srv/volume "$volume"; done
umount /srv/volume
mount -t tmpfs -o "$TMP" tmpfs /tmp
cd /srv/skincheck
exec "$@"
"""


def _may_mount() -> bool:
    """Root may, unless it is confined itself."""
    if os.getuid() != 0 or not (shutil.which("unshare") and shutil.which("nsenter")):
        return False
    probe = "mount --make-rprivate / && mount -t tmpfs tmpfs /mnt"
    command = ["unshare", "--mount", "sh", "-c", probe]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.stack,
    pytest.mark.any_database,  # it brings its own
    pytest.mark.skipif(
        not _may_mount(), reason="only root can mount folders as a container has them"
    ),
    services.needs_servers,
]


@dataclass(frozen=True)
class Containers:
    folder: Path
    port: int
    s3: Storage

    def shut(self, name: str, *command: str) -> list[str]:
        """The command as the container's user, with its variables and nothing else."""
        variables = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOSTNAME": socket.gethostname(),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "VAR_DIR": "/srv/var",
            **{key: self._filled(value) for key, value in COMPOSE[name]["environment"].items()},
            "AWS_S3_ENDPOINT_URL": self.s3.environment["AWS_S3_ENDPOINT_URL"],
        }
        user = ["--reuid", USER, "--regid", USER, "--clear-groups"]
        nothing = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        return [
            *("env", "-i", *(f"{key}={value}" for key, value in variables.items())),
            *("prlimit", f"--nproc={COMPOSE[name]['pids_limit']}", "setpriv", *user, *nothing),
            *map(self._filled, command),
        ]

    @contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        service = COMPOSE[name]
        command = service.get("command") or _default_command()
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", CONTAINER, "sh", *self.shut(name, *command)],
                env={
                    "PATH": os.environ["PATH"],
                    "FOLDER": str(self.folder),
                    "PYTHON_HOME": sys.base_prefix,
                    "VENV": sys.prefix,
                    "USER_ID": USER,
                    "TMP": service["tmpfs"][0].split(":")[1],
                    "VOLUMES": " ".join(one.split(":")[1] for one in service.get("volumes", [])),
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            kill_group(process)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def is_healthy(self, name: str, process: subprocess.Popen[bytes]) -> bool:
        kind, *test = COMPOSE[name]["healthcheck"]["test"]
        command = test if kind == "CMD" else ["sh", "-c", *test]
        asked = self.ask(name, process, *command)
        assert process.poll() is None, self.log(name)
        if asked.returncode:
            (self.folder / f"{name}.health").write_text(asked.stdout + asked.stderr)
        return asked.returncode == 0

    def ask(
        self, name: str, process: subprocess.Popen[bytes], *command: str
    ) -> subprocess.CompletedProcess[str]:
        """``docker compose exec``"""
        enter = ["nsenter", "--target", str(process.pid), "--mount"]
        enter += ["sh", "-c", 'cd /srv/skincheck; exec "$@"', "sh"]
        return subprocess.run(
            [*enter, *self.shut(name, *command)], capture_output=True, text=True, check=False
        )

    def _filled(self, text: str) -> str:
        text = re.sub(r"\$\{HTTPS:-1\}", "1", text)
        text = re.sub(r"\$\{SITE_HOST[^}]*\}", HOST, text)
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")
        text = text.replace("0.0.0.0:8000", f"127.0.0.1:{self.port}")
        return text.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")


def _default_command() -> list[str]:
    found = re.search(r"^CMD (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found
    command: list[str] = yaml.safe_load(found[1])
    return command


def _make_image(folder: Path) -> None:
    """What ``COPY . .`` takes, by .dockerignore."""
    patterns = (ROOT / ".dockerignore").read_text().split()
    for name in (pattern[1:] for pattern in patterns if pattern.startswith("!")):
        there, copy = ROOT / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if there.is_dir():
            shutil.copytree(
                there, copy, ignore=shutil.ignore_patterns("__pycache__", "model.keras")
            )
        else:
            shutil.copy(there, copy)
    # Otherwise every process here compiles all of it, since none may keep what it has compiled.
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder], check=True)


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    folder, s3 = tmp_path_factory.mktemp("containers"), Storage()
    for part in ("image", "var", "volume"):
        (folder / part).mkdir()
    (folder / "var" / "uploads").mkdir()
    _make_image(folder / "image")
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--skip-checks"],
        cwd=folder / "image",
        env={"PATH": "/bin", "SECRET_KEY": "only-for-the-build", "VAR_DIR": str(folder / "var")},
        check=True,
        capture_output=True,
    )
    subprocess.run(["chown", "-R", f"{USER}:{USER}", folder / "var", folder / "volume"], check=True)
    subprocess.run(
        [ROOT / "script" / "secrets", "consolemail://"],
        env={**os.environ, "SECRETS_DIR": str(folder / "secrets")},
        check=True,
        capture_output=True,
    )
    (folder / "secrets").chmod(0o755)  # mounted one by one, the folder's mode has no part in it
    with services.postgres() as postgres, services.redis() as redis, s3.there():
        for name, url in (("database_url", postgres.url), ("redis_url", redis.url)):
            secret = folder / "secrets" / name
            secret.chmod(0o644)
            secret.write_text(url)
        made = Containers(folder, free_port(), s3)
        with made.running("migrate") as migrate:
            assert migrate.wait(300) == 0, made.log("migrate")
        yield made


KEEP_A_FILE = (
    "import tempfile; from skincheck_site import settings;"
    " tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR).write(b'a')"
)
KEEP_LARGE_FILES = {"web", "worker", "sweeper"}
"""Uploads that arrive, exports that are put together."""


@pytest.mark.parametrize("name", ["web", "uploads", "worker", "courier", "sweeper", "beat"])
def test_it_starts_and_becomes_healthy(containers: Containers, name: str) -> None:
    with containers.running(name) as process:
        wait_until(lambda: containers.is_healthy(name, process), f"{name} is healthy", 60)
        if name in KEEP_LARGE_FILES:
            kept = containers.ask(name, process, "python", "-c", KEEP_A_FILE)
            assert kept.returncode == 0, kept.stderr
    said = containers.log(name)
    for fault in (
        "Traceback",
        "Read-only file system",
        "Permission denied",
        "ImproperlyConfigured",
    ):
        assert fault not in said, said


def test_only_volumes_and_tmp_can_be_written(containers: Containers) -> None:
    """What the other tests rely on: a container that could write anywhere would prove nothing."""
    script = (
        "for place in / /srv /srv/skincheck /srv/var /etc /run /usr; do"
        '  (: > "$place/x") 2>/dev/null && echo "$place"; done;'
        " : > /tmp/x && id -u && grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status"
    )
    with containers.running("sweeper") as process:
        wait_until(lambda: containers.is_healthy("sweeper", process), "it runs")
        told = containers.ask("sweeper", process, "sh", "-c", script).stdout.split()
    shut = ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]
    assert sorted(told) == sorted([USER, *shut])
