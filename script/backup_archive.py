"""The data that ``script/backup`` and ``script/restore`` encrypt and decrypt, as a tar archive.

    keys        SECRET_KEY and its predecessors, a JSON list
    encryption_key  the operator's keys, only with WITH_ENCRYPTION_KEY=1
    database    SQLite's file, or PostgreSQL's dump in its custom format
    media/      each stored file, by name, encrypted as it is stored

In this order: files are never changed, so those of every copied row are still there, unless a
picture got another file meanwhile, as it does when it is encrypted or moved to another patient.
Then ``pack`` ends with CHANGED, and what it wrote is no backup. Files that exports made are left
out: they repeat the rest, end after a week, and can be asked for again.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skincheck_site.settings")

import django
from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import connection, transaction

CHANGED = 75
"""The exit status if pictures got other files while they were packed, to try again."""
NOT_IN_IT = (
    "Its pictures are encrypted with ENCRYPTION_KEY (embedded: {}), which is not in it: keep a "
    "copy elsewhere, or nobody can see them. WITH_ENCRYPTION_KEY=1 puts it in."
)


def pack(to: IO[bytes]) -> None:
    storage: Any = default_storage
    missing = []
    with tarfile.open(fileobj=to, mode="w|") as archive:
        keys = json.dumps([settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]).encode()
        _add(archive, "keys", BytesIO(keys), len(keys))
        if os.environ.get("WITH_ENCRYPTION_KEY") == "1":
            encryption_keys = "\n".join(settings.ENCRYPTION_KEYS).encode()
            _add(archive, "encryption_key", BytesIO(encryption_keys), len(encryption_keys))
        elif settings.ENCRYPTION_KEYS:
            print(NOT_IN_IT.format(settings.VAR_DIR / "encryption_key"), file=sys.stderr)
        with _temporary() as copy:
            names = _copy_database(copy.name)
            with Path(copy.name).open("rb") as database:
                _add(archive, "database", database, os.fstat(database.fileno()).st_size)
        for name in names:
            try:
                with storage.stored(name) as file:
                    _add(archive, f"media/{name}", file, storage.stored_size(name))
            except FileNotFoundError:
                missing.append(name)
    if missing:
        _tell_of_missing(missing)


def _tell_of_missing(names: list[str]) -> None:
    with connection.cursor() as cursor:
        still = set(_stored(cursor))
    if changed := sum(name not in still for name in names):
        print(
            f"{changed} stored files were replaced or deleted while they were packed.",
            file=sys.stderr,
        )
        raise SystemExit(CHANGED)
    print(
        f"{len(names)} stored files were lost before: their rows are backed up without them.",
        file=sys.stderr,
    )


def unpack(archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo]) -> None:
    """Restore the archive. members: those after the keys."""
    storage: Any = default_storage
    for member in members:
        file = archive.extractfile(member)
        if file is None:
            continue
        with _temporary() as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            copy.seek(0)
            if member.name == "database":
                _restore_database(copy.name)
            else:
                name = member.name.removeprefix("media/")
                if storage.save_stored(name, File(copy)) != name:
                    raise SystemExit("There are files already: restore into an empty installation.")
    _end_exports()
    from screening.models.data_key import MISSING, DataKey, operators_keys  # once Django is set up

    has_table = DataKey._meta.db_table in connection.introspection.table_names()
    closed = DataKey.objects.exclude(wrapped_by__in=list(operators_keys()))  # in an older one, too
    if has_table and closed.exists():
        print(MISSING, file=sys.stderr)
    print("Restored. Start the site as usual: it migrates tables of an older version.")


def _end_exports() -> None:
    """End all exports, whose files are in no backup."""
    if "screening_export" in connection.introspection.table_names():  # not in the oldest backups
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE screening_export SET state = 'ended', file = '' WHERE file <> ''"
            )


def _temporary() -> IO[bytes]:
    return tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR, prefix="backup-")


def put_keys(keys: list[str]) -> None:
    """Restore the keys. Run before Django is set up, which would create a key of its own."""
    path = os.environ.get("SECRET_KEY_FILE") or str(Path(os.environ["VAR_DIR"]) / "secret_key")
    if os.environ.get("SECRET_KEY"):
        raise SystemExit("Unset SECRET_KEY, and set SECRET_KEY_FILE to where the key is written.")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if Path(path).read_text() != keys[0]:
            raise SystemExit(
                f"{path} has another key: restore into an empty installation."
            ) from None
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(keys[0])
    if keys[1:]:
        print(
            "Set SECRET_KEY_FALLBACKS to its former value: it verifies older signatures.",
            file=sys.stderr,
        )


def put_encryption_keys(keys: str) -> None:
    """Restore the operator's keys, also before Django is set up. They come after those that are
    there.
    """
    if os.environ.get("ENCRYPTION_KEY"):
        return  # the operator has put them there
    own = Path(os.environ["VAR_DIR"]) / "encryption_key"
    path = Path(os.environ.get("ENCRYPTION_KEY_FILE") or own)
    there = path.read_text().split() if path.exists() else []
    if missing := [key for key in keys.split() if key not in there]:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
            file.write("\n" * bool(there) + "\n".join(missing))


def _add(archive: tarfile.TarFile, name: str, file: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    archive.addfile(member, file)


def _stored(cursor: Any) -> Iterator[str]:
    cursor.execute("SELECT file, thumbnail, screen FROM screening_lesionimage")
    for names in iter(lambda: cursor.fetchmany(1000), []):
        for row in names:
            yield from filter(None, row)
    cursor.execute("SELECT archive FROM screening_batch WHERE archive <> ''")
    yield from (name for (name,) in cursor.fetchall())


def _copy_database(path: str) -> list[str]:
    """Returns the names of the files that the copy's rows have."""
    if settings.DATABASE_URL:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT pg_export_snapshot()")
            same = f"--snapshot={cursor.fetchone()[0]}"
            _postgres("pg_dump", "--format=custom", "--no-owner", same, "--file", path)
            return list(_stored(cursor))
    with (
        closing(sqlite3.connect(settings.DATABASES["default"]["NAME"], timeout=60)) as live,
        closing(sqlite3.connect(path)) as copy,
    ):
        live.backup(copy)
        return list(_stored(copy.cursor()))


def _restore_database(path: str) -> None:
    if connection.introspection.table_names():
        raise SystemExit("There are tables already: restore into an empty installation.")
    connection.close()
    if settings.DATABASE_URL:
        _postgres("pg_restore", "--no-owner", "--exit-on-error", path)
    else:
        with (
            closing(sqlite3.connect(path)) as copy,
            closing(sqlite3.connect(settings.DATABASES["default"]["NAME"])) as empty,
        ):
            copy.backup(empty)


def _postgres(program: str, *arguments: str) -> None:
    """Pass the password in the environment, because other users can see the arguments."""
    where = settings.DATABASES["default"]
    environment = {
        "PGHOST": where["HOST"],
        "PGPORT": str(where["PORT"] or 5432),
        "PGUSER": where["USER"],
        "PGPASSWORD": where["PASSWORD"],
    }
    subprocess.run(  # noqa: S603  what is run stands above
        [program, "--dbname", where["NAME"], *arguments],
        env=os.environ | {name: value for name, value in environment.items() if value},
        check=True,
    )


def main(act: str) -> None:
    if act == "pack":
        django.setup()
        pack(sys.stdout.buffer)
        return
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        members = iter(archive)
        first = next(members, None)
        keys = archive.extractfile(first) if first is not None and first.name == "keys" else None
        if keys is None:
            raise SystemExit("This is not a SkinCheck backup.")
        Path(os.environ["VAR_DIR"]).mkdir(parents=True, exist_ok=True, mode=0o700)
        put_keys(json.load(keys))
        second = next(members, None)
        if second is not None and second.name == "encryption_key":
            put_encryption_keys(archive.extractfile(second).read().decode())
            second = None
        django.setup()
        unpack(archive, chain([second] if second else [], members))


if __name__ == "__main__":
    main(sys.argv[1])
