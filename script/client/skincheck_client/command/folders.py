"""Pictures in a folder: which file belongs to which lesion, when it was taken, what is there."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from skincheck_client import Client, images, lesions
from skincheck_client.command.failure import Exit, Failure
from skincheck_client.resources import Image

KINDS = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif", ".dcm", ".dicom"}
_DAY = re.compile(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)")


class Found(NamedTuple):
    path: Path
    label: str
    """Of its lesion."""


def in_folder(folder: Path) -> list[Found]:
    """The pictures. A subfolder is a lesion, named after it; a picture outside any subfolder is a
    lesion of its own. A DICOM file needs no extension.
    """
    if not folder.is_dir():
        raise Failure(f"{folder} is no folder.", Exit.USAGE)
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
        and (path.suffix.lower() in KINDS or _is_dicom(path))
    ]
    if not paths:
        text = f"There is no JPEG, PNG, WebP, HEIC, AVIF or DICOM picture in {folder}."
        raise Failure(text, Exit.USAGE)
    return [Found(path, label) for path, label in zip(paths, _labels(paths, folder), strict=True)]


def _labels(paths: list[Path], folder: Path) -> list[str]:
    """One for each folder, and one for each picture outside. Raises Failure if two lesions would
    have the same.
    """
    folders = {path: path.parent.relative_to(folder).as_posix() for path in paths}
    names = Counter(map(_plain, set(folders.values())))
    names.update(_plain(path.stem) for path in paths if folders[path] == ".")
    labels = []
    sources: dict[str, Path] = {}
    for path, name in folders.items():
        is_alone = name == "."
        if is_alone:
            is_clear = names[_plain(path.stem)] == 1 and path.suffix.lower() in KINDS
            name = path.stem if is_clear else path.name
        label, source = _plain(name), path if is_alone else path.parent
        if sources.setdefault(label, source) != source:
            raise Failure(f"Two lesions would be called “{label}”. Rename one of them.", Exit.USAGE)
        labels.append(label)
    return labels


def _plain(name: str) -> str:
    """As the site has it: composed, whichever way the file system or another client wrote it."""
    return normalize("NFC", name).strip()


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def is_picture(data: bytes) -> bool:
    """Whether the file starts like a picture. The site checks the rest."""
    return (
        data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or data[4:8] == b"ftyp"
        or data[128:132] == b"DICM"
    )


def taken_on(path: Path, otherwise: str | None) -> str | None:
    """The day in the file's name (2026-03-12), else the day that the user gave."""
    for text in _DAY.findall(path.name):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            continue
    return otherwise


@dataclass
class Record:
    """What the site has of a patient. lesions: by label. images: by lesion and SHA-256."""

    lesions: dict[str, str]
    images: dict[tuple[str, str], Image]

    @classmethod
    def of(cls, site: Client, patient: str) -> Record:
        opened = site.each(lesions.list(patient=patient, page_size=200))
        stored = site.each(images.list(patient=patient, page_size=200))
        return cls(
            lesions={_plain(row["label"]): row["id"] for row in opened},
            images={(row["lesion"], row["sha256"]): row for row in stored},
        )

    def image(self, label: str, data: bytes) -> Image | None:
        lesion = self.lesions.get(label, "")
        return self.images.get((lesion, hashlib.sha256(data).hexdigest()))
