"""Pictures of lesions. Each is read by the model, unless it is an ordinary photograph."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

from skincheck_client.call import Call, Page, content, fields
from skincheck_client.listing import Filters
from skincheck_client.resources import AddedImage, BodySite, Image, Modality


class ImageFilters(Filters, total=False):
    """identifier: ``system|value``."""

    lesion: str
    patient: str
    modality: Modality
    captured_on_after: str
    captured_on_before: str
    identifier: str


class NewImage(TypedDict, total=False):
    """captured_on: ``2026-03-12``; without it the file's own day, or today. modality: only
    ``dermatoscopic`` pictures are read; without it a DICOM file says it. identifier:
    ``system|value``.

    allow_duplicate: also if the same picture is on another lesion. Of a DICOM file:
    allow_burned_in: although text is burned into its picture; allow_capture: a Secondary Capture,
    known to be a photograph of the lesion; keep_identifiers: its SOP Instance UID.
    """

    captured_on: str
    modality: Modality
    identifier: str
    allow_duplicate: bool
    allow_burned_in: bool
    allow_capture: bool
    keep_identifiers: bool


class FirstImage(NewImage, total=False):
    """label, body_site: of the new lesion."""

    label: str
    body_site: BodySite


class Correction(TypedDict, total=False):
    captured_on: str
    captured_time: str | None
    modality: Modality
    reason: str


def list(**filters: Unpack[ImageFilters]) -> Call[Page[Image]]:
    return Call("GET", "images/", parameters=fields(filters))


def get(image: str) -> Call[Image]:
    return Call("GET", f"images/{image}/")


def add(file: Path | bytes, *, lesion: str, **sent: Unpack[NewImage]) -> Call[AddedImage]:
    """JPEG, PNG, WebP, HEIC, AVIF or DICOM. The file's name is not sent, because it may name the
    person.

    The same picture on the same lesion is recognised, and the existing image is returned. Raises
    SamePicture if it is on another lesion, Invalid if it is not a picture, OSError.
    """
    return _adding(file, {"lesion": lesion, **fields(sent)})


def add_first(file: Path | bytes, *, patient: str, **sent: Unpack[FirstImage]) -> Call[AddedImage]:
    """Open a lesion of the patient with its first picture: both, or neither.

    The same picture sent again, for a lesion with this label, is recognised. Raises as ``add``.
    """
    return _adding(file, {"patient": patient, **fields(sent)})


def correct(image: str, **sent: Unpack[Correction]) -> Call[Image]:
    return Call("PATCH", f"images/{image}/", body=fields(sent))


def file(image: str) -> Call[bytes]:
    return Call("GET", f"images/{image}/file", parse=content)


def thumbnail(image: str) -> Call[bytes]:
    return Call("GET", f"images/{image}/thumbnail", parse=content)


def dicom(image: str) -> Call[bytes]:
    """The picture as Dermoscopic Photography or VL Photographic, with a pseudonym."""
    return Call("GET", f"images/{image}/dicom", parse=content)


def _adding(picture: Path | bytes, sent: dict[str, object]) -> Call[AddedImage]:
    data = picture if isinstance(picture, bytes) else picture.read_bytes()
    return Call("POST", "images/", body=sent, file=data)
