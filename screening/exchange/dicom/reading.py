"""What a DICOM file says beside its pixels, as far as it is taken over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, TYPE_CHECKING, Any

from screening import dicom
from screening.exchange.codes import PLACES
from screening.imaging import MAX_BYTES

if TYPE_CHECKING:
    from pydicom import Dataset

_HEAD = 132  # preamble and prefix
_DATES = ("AcquisitionDateTime", "AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")
SQUARE = 0.01
"""Pixels that are less square than this have no single size."""


@dataclass(frozen=True, slots=True)
class Stated:
    """captured_on: the day it says first, whether it can be or not; None where it says none, or
    says it with what is no day (no_day). mm_per_pixel: None, body_site: "" where the file says
    nothing that can be believed. instance: the picture's own UID, which is stored only where that
    is asked for."""

    captured_on: date | None
    no_day: str
    body_site: str
    mm_per_pixel: float | None
    instance: str


def stated(file: IO[bytes]) -> Stated | None:
    """None for what is no DICOM file, or none that can be read: whoever adds it says why.

    Leaves ``file`` at its beginning.
    """
    head = file.read(_HEAD)
    data = head + file.read(MAX_BYTES) if dicom.is_dicom(head) else b""
    file.seek(0)
    if not data:
        return None
    try:
        return _stated(dicom.read(data))
    except dicom.UnreadableDicom:
        return None


def _stated(dataset: Dataset) -> Stated:
    captured_on, no_day = _captured_on(dataset)
    return Stated(
        captured_on=captured_on,
        no_day=no_day,
        body_site=_body_site(dataset),
        mm_per_pixel=_mm_per_pixel(dataset),
        instance=str(_value(dataset, "SOPInstanceUID") or ""),
    )


def _captured_on(dataset: Dataset) -> tuple[date | None, str]:
    """The day by the first element that says something, or what it says instead of a day."""
    said = (str(_value(dataset, name) or "").strip()[:8] for name in _DATES)
    text = next((text for text in said if text), "")
    try:
        return datetime.strptime(text, "%Y%m%d").date(), ""  # noqa: DTZ007  a day has no zone
    except ValueError:
        return None, text


def _body_site(dataset: Dataset) -> str:
    """The site in which the anatomic region lies, by its SNOMED CT code, of old coding too."""
    from pydicom.sr.coding import Code

    for item in _value(dataset, "AnatomicRegionSequence") or []:
        told = (str(_value(item, name) or "") for name in ("CodeValue", "CodingSchemeDesignator"))
        value, scheme = told
        code = Code(value, "SCT" if scheme in ("SCT", "99SCT", "SNM3") else scheme, "")
        for place, site in PLACES.items():
            if code == Code(place, "SCT", ""):
                return site
    return ""


def _mm_per_pixel(dataset: Dataset) -> float | None:
    """Only where the pixels are square, and of a size that a picture of skin can have."""
    spacing = _value(dataset, "PixelSpacing") or []
    try:
        down, across = (float(part) for part in spacing)
    except (TypeError, ValueError):
        return None
    if not 0 < across <= 1 or abs(down - across) > SQUARE * across:
        return None
    return across


def _value(dataset: Dataset, name: str) -> Any:
    """An element's value; None where it is missing, or not what its type promises."""
    try:
        return dataset.get(name)
    except Exception:  # pydicom converts when asked, and refuses in many ways
        return None
