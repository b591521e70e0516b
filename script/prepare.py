"""Prepares the start of all processes: a private folder, tables, the model version of this release,
static files, an empty embedded broker.

``script/server`` runs it in one process, because each start of Django costs a second.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skincheck_site.settings")

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def close_to_others() -> None:
    """Restrict access, also of an existing folder, whose contents are then out of others' reach."""
    settings.VAR_DIR.chmod(0o700)


def migrate() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        print("Setting up the database ...", flush=True)
        call_command("migrate", interactive=False, verbosity=0)
    call_command("adopt")


def collect_static() -> None:
    """Collect only what changed since the last start: hashing and compressing takes seconds."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            found = Path(storage.path(path)).stat()
            digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    stamp = settings.STATIC_ROOT / ".collected"
    if not stamp.is_file() or stamp.read_text() != digest.hexdigest():
        print("Collecting static files ...", flush=True)
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        stamp.write_text(digest.hexdigest())


def empty_broker() -> None:
    """Empty the broker: the rows say what waits to be read, and the worker rings for them when it
    starts.
    """
    for file in settings.VAR_DIR.glob("broker.sqlite3*"):
        file.unlink()


if __name__ == "__main__":
    django.setup()
    close_to_others()
    migrate()
    collect_static()
    empty_broker()
