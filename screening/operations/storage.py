"""File storage that encrypts what it writes, and writes each file completely or not at all."""

from __future__ import annotations

import errno
import io
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage
from django.db.models.fields.files import FieldFile

from screening import sealing
from screening.errors import StorageAway
from screening.models import Erasure, LesionImage
from screening.models.data_key import DataKey, key_of, require_none_lost

if TYPE_CHECKING:
    _Storage = Storage
else:
    _Storage = object

UNFINISHED = "unfinished"
"""A folder beside the others, on the same disk. It is made with the first file, and stays."""
LEFT_AFTER = 86_400
"""Seconds after which an unfinished file is abandoned: the process writing it was killed."""


AWAY = (
    "None of the pictures is in {}: is the disk mounted? If they are lost for good, make an empty "
    "folder {} and go on without them."
)
_SOME = 20


class StoredFile(File):
    """Reopens through its storage: Django's own class would open the stored bytes by path."""

    def __init__(self, file: IO[bytes], name: str, storage: Storage) -> None:
        super().__init__(file, name)
        self._storage = storage

    def open(self, mode: str | None = None, *args: Any, **options: Any) -> Self:
        if self.closed:
            self.file = self._storage.open(str(self.name)).file
        self.seek(0)
        return self


class Sealed(_Storage):
    """Encrypts what is saved and decrypts what is opened, so that no caller can forget it.

    The content names the data key (``SealedFileField``); otherwise it is the installation's. Files
    from before encryption are read as they are.
    """

    def stored(self, name: str) -> IO[bytes]:
        """The file as it is stored, seekable. Raises FileNotFoundError, and StorageAway."""
        try:
            return self._stored(name)
        except FileNotFoundError:
            self.require_there()
            raise

    def require_there(self) -> None:
        """Raise StorageAway while the storage is not there: a file that is not found is not lost
        then, and one that was deleted is not gone.
        """
        raise NotImplementedError

    def erase(self, name: str) -> None:
        """Delete the file. Raises OSError unless it is gone."""
        self.delete(name)
        self.require_there()
        if self.exists(name):
            raise StorageAway(errno.EBUSY, "The storage did not delete a file.")

    def stored_size(self, name: str) -> int:
        return super().size(name)

    def save_stored(self, name: str, content: File[bytes]) -> str:
        """Save what ``stored`` returned in another storage."""
        return super()._save(self.get_available_name(name), content)  # type: ignore[misc]

    def is_sealed(self, name: str) -> bool:
        with self.stored(name) as file:
            return sealing.is_sealed(file.read(len(sealing.MAGIC)))

    def data_key_of(self, name: str) -> UUID | None:
        """The identifier of the key that opens the file; None for a plain one."""
        with self.stored(name) as file:
            begin = file.read(sealing.HEADER)
        return sealing.header_of(begin).data_key if sealing.is_sealed(begin) else None

    def size(self, name: str) -> int:
        is_sealed = self.is_sealed(name)
        stored = self.stored_size(name)
        return sealing.content_size(stored) if is_sealed else stored

    def _stored(self, name: str) -> IO[bytes]:
        return super()._open(name, "rb")  # type: ignore[misc]

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        if mode != "rb":
            raise ValueError("Stored files are never changed: save another one.")
        file = self.stored(name)
        try:
            begin = file.read(sealing.HEADER)
            file.seek(0)
            if not sealing.is_sealed(begin):
                return StoredFile(file, name, self)
            key = key_of(sealing.header_of(begin).data_key)
            unsealed = io.BufferedReader(sealing.Unsealed(file, key=key, place=name))
            return StoredFile(unsealed, name, self)
        except BaseException:
            file.close()
            raise

    def _save(self, name: str, content: Any) -> str:
        if settings.ENCRYPT_AT_REST:
            key = getattr(content, "data_key", None) or DataKey.of(None)
            content.seek(0)
            sealed = sealing.reader(content, data_key=key.pk, key=key.key, place=name)
            content = File(sealed, name)
            content.content_type = "application/octet-stream"
        else:
            require_none_lost()  # also if a key was removed by mistake, which turns encryption off
        return super()._save(name, content)  # type: ignore[misc]


class WholeFiles(FileSystemStorage):
    """Writes to a temporary name, then renames, so that a full disk or a power cut leaves no
    partial picture.
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


class SealedFiles(Sealed, WholeFiles):
    """The storage of the embedded installation."""

    def require_there(self) -> None:
        """The folder may be the empty one on which a disk is not mounted. The right one has what
        the first file left in it or, copied from elsewhere, some file that the database names.
        """
        if Path(self.path(UNFINISHED)).is_dir():
            return
        names = _some_names()
        if names and not any(map(self.exists, names)):
            raise StorageAway(errno.ENODEV, AWAY.format(self.location, self.path(UNFINISHED)))

    def _save(self, name: str, content: Any) -> str:
        self.require_there()  # else the file would be hidden once the disk is mounted
        return super()._save(name, content)


def _some_names() -> list[str]:
    """Of files that ought to be stored: the oldest and the newest pictures, and what an erasure
    has still to delete.
    """
    pictures = LesionImage.everything.values_list("file", flat=True)
    erasures = Erasure.objects.exclude(files=[]).values_list("files", flat=True)
    to_delete = [name for files in erasures[:_SOME] for name, _ in files[:_SOME]]
    return [
        *pictures.order_by("created")[:_SOME],
        *pictures.order_by("-created")[:_SOME],
        *to_delete,
    ]


def accelerated(file: FieldFile) -> str:
    """The path under which nginx finds the file (X-Accel-Redirect). Empty if nginx is not used, or
    would deliver sealed bytes. Raises FileNotFoundError.
    """
    storage: Any = file.storage
    if not settings.MEDIA_ACCEL_PREFIX or storage.is_sealed(file.name):
        return ""
    return f"{settings.MEDIA_ACCEL_PREFIX.rstrip('/')}/{file.name}"


def remove_unfinished() -> None:
    """Delete the remains of killed processes: half-written files and half-received request
    bodies.
    """
    long_ago = time.time() - LEFT_AFTER
    for folder in (Path(settings.MEDIA_ROOT) / UNFINISHED, Path(settings.FILE_UPLOAD_TEMP_DIR)):
        for path in folder.glob("*"):
            with suppress(OSError):
                if path.is_file() and path.stat().st_mtime < long_ago:
                    path.unlink()
