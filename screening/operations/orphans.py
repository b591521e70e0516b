"""Stored files without a row: a process was killed after it had written the file, and before its
transaction was committed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta

from django.core.files.storage import default_storage
from django.db.models import Model
from django.utils import timezone

from screening.models import Batch, Export, LesionImage

logger = logging.getLogger(__name__)

OLD = timedelta(days=1)
"""A younger file may belong to a transaction that is not committed yet."""
AT_MOST = 100
"""A larger number is not the trace of killed processes. The database may be the wrong one or an
older copy, and then the files are all that is left of the pictures.
"""
FIELDS: tuple[tuple[type[Model], str], ...] = (
    (LesionImage, "file"),
    (LesionImage, "thumbnail"),
    (LesionImage, "screen"),
    (Batch, "archive"),
    (Export, "file"),
)
"""All fields that name stored files."""
_FOLDER = re.compile(r"[0-9a-f]{2}|batches|exports")
_FILE = re.compile(r"[0-9a-f]{32}(\.\w+)?")


def found() -> Iterator[str]:
    """The names of stored files that are older than a day and have no row. Files whose names are
    not ours are left alone.
    """
    for folder in sorted(filter(_FOLDER.fullmatch, default_storage.listdir("")[0])):
        files = filter(_FILE.fullmatch, default_storage.listdir(folder)[1])
        known = _known(folder)
        for name in (f"{folder}/{file}" for file in sorted(files)):
            if name not in known and _is_old(name):
                yield name


def remove() -> list[str]:
    """Delete them and return the names of those deleted. If there are more than AT_MOST, delete
    none.
    """
    names = list(found())
    if len(names) > AT_MOST:
        logger.error(
            "%s stored files have no row, too many to be deleted: see `manage.py orphans`",
            len(names),
        )
        return []
    deleted = []
    for name in names:
        try:
            default_storage.delete(name)
        except OSError:
            logger.exception("stored file %s has no row and could not be deleted", name)
            continue
        logger.warning("stored file %s had no row and was deleted", name)
        deleted.append(name)
    return deleted


def _known(folder: str) -> set[str]:
    names: set[str] = set()
    for model, field in FIELDS:
        rows = model._base_manager.filter(**{f"{field}__startswith": f"{folder}/"})
        names.update(rows.values_list(field, flat=True))
    return names


def _is_old(name: str) -> bool:
    try:
        return default_storage.get_modified_time(name) < timezone.now() - OLD
    except FileNotFoundError:  # deleted meanwhile
        return False
