"""Pictures to upload: which file belongs to which lesion, and when it was taken."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

from skincheck_client.failure import Exit, Failure, Refused
from skincheck_client.site import Json, Site

KINDS = {".jpg", ".jpeg", ".png", ".webp"}
_DAY = re.compile(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)")


class Found(NamedTuple):
    path: Path
    label: str
    """Of its lesion."""


def in_folder(folder: Path) -> list[Found]:
    """A subfolder is a lesion, named after it; a picture outside any subfolder is a lesion of its
    own.
    """
    if not folder.is_dir():
        raise Failure(f"{folder} is no folder.", Exit.USAGE)
    found = [
        Found(path, path.stem if path.parent == folder else path.parent.name)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in KINDS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise Failure(f"There is no JPEG, PNG or WebP picture in {folder}.", Exit.USAGE)
    return found


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(error.strerror or "the file cannot be read", 0) from None


def taken_on(path: Path, otherwise: str | None) -> str | None:
    """The day in the file's name (2026-03-12), else the day that the user gave."""
    for text in _DAY.findall(path.name):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            continue
    return otherwise


def open_lesion(site: Site, patient: str, picture: bytes, body_site: str | None) -> str:
    """A lesion for this one picture; a repeated call returns the same one."""
    body: Json = {"patient": patient}
    if body_site:
        body["body_site"] = body_site
    about = hashlib.sha256(picture).hexdigest()
    return str(site.post("lesions/", body, about=about)["id"])


def lesions_by_label(site: Site, patient: str) -> dict[str, str]:
    return {row["label"]: row["id"] for row in site.pages("lesions/", patient=patient)}


def add(site: Site, lesion: str, picture: bytes, captured_on: str | None, modality: str) -> Json:
    fields = {"lesion": lesion, "modality": modality}
    if captured_on:
        fields["captured_on"] = captured_on
    return site.upload("images/", picture, fields)


def unfinished(site: Site) -> Iterator[str]:
    """The unfinished readings among all that the key sees."""
    for state in ("queued", "running"):
        for row in site.pages("predictions/", state=state):
            yield str(row["id"])
