"""Files on disk that are there whole, or not at all."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.files.storage import FileSystemStorage

UNFINISHED = "unfinished"
"""A folder beside the others, on their disk."""
LEFT_AFTER = 86_400
"""Seconds after which nobody writes an unfinished file any more: whoever did was killed."""


class WholeFiles(FileSystemStorage):
    """Writes under another name, and renames at the end: a full disk or a power cut leaves no half
    of a picture where a picture is looked for."""

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
    """What processes left that were killed: half-written files, and bodies half received."""
    long_ago = time.time() - LEFT_AFTER
    for folder in (Path(settings.MEDIA_ROOT) / UNFINISHED, Path(settings.FILE_UPLOAD_TEMP_DIR)):
        for path in folder.glob("*"):
            with suppress(OSError):
                if path.is_file() and path.stat().st_mtime < long_ago:
                    path.unlink()
