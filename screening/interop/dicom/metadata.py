"""The metadata of a DICOM file, in our terms."""

from __future__ import annotations

from typing import IO

from screening.images import cleaning
from screening.images.dicom import Said
from screening.interop.codes import BODY_PARTS, OTHER_PLACES, PLACES

_SNOMED = ("SCT", "SRT", "99SDM", "99SCT", "SNM3")
"""Every name that DICOM has used for SNOMED."""


def read_metadata(file: IO[bytes]) -> Said | None:
    """The metadata; None if the file is not DICOM or cannot be read, which adding it reports."""
    try:
        return cleaning.said(file)
    except cleaning.InvalidImage:
        file.seek(0)
        return None


def body_site(said: Said) -> str:
    """The site that contains the anatomic region, by its code in SNOMED CT (SRT included), FMA or
    DICOM's own, or else the body part examined; "" if unknown.
    """
    if not said.regions:
        return BODY_PARTS.get(said.body_part, "")
    from pydicom.sr._snomed_dict import mapping

    for value, scheme in said.regions:
        if scheme in _SNOMED:
            scheme, value = "SCT", mapping["SRT"].get(value, value)
        site = PLACES.get(value) if scheme == "SCT" else None
        if site := site or OTHER_PLACES.get((scheme, value)):
            return site
    return BODY_PARTS.get(said.body_part, "")
