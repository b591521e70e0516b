"""File storage that writes each file completely or not at all."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.files.storage import FileSystemStorage

UNFINISHED = "unfinished"
"""A folder beside the others, on the same disk."""
LEFT_AFTER = 86_400
"""Seconds after which an unfinished file is abandoned: the process writing it was killed."""


class WholeFiles(FileSystemStorage):
    """Writes to a temporary name, then renames: a full disk or a power cut leaves no partial
    picture behind.
    """

    def _save(self, name: str, content: Any) -> str:
        part = f"{UNFINISHED}/{uuid4().hex}"
        try:
            super()._save(part, content)  # type: ignore[misc]
            whole = Path(self.path(name))
            whole.parent.mkdir(
                parents=True, exist_ok=True, mode=self.directory_permissions_mode or 0o777
            )
            Path(self.path(part)).rename(whole)
        except BaseException:
            with suppress(OSError):
                self.delete(part)
            raise
        return name


def remove_unfinished() -> None:
    """Delete what killed processes left: half-written files and half-received request bodies."""
    long_ago = time.time() - LEFT_AFTER
    for folder in (Path(settings.MEDIA_ROOT) / UNFINISHED, Path(settings.FILE_UPLOAD_TEMP_DIR)):
        for path in folder.glob("*"):
            with suppress(OSError):
                if path.is_file() and path.stat().st_mtime < long_ago:
                    path.unlink()
