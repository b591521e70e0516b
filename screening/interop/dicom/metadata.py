"""The metadata of a DICOM file, in our terms."""

from __future__ import annotations

from typing import IO

from screening.images import cleaning
from screening.images.dicom import Said
from screening.interop.codes import BODY_PARTS, PLACES


def read_metadata(file: IO[bytes]) -> Said | None:
    """The metadata; None if the file is not DICOM or cannot be read, since adding it then reports
    why.
    """
    try:
        return cleaning.said(file)
    except cleaning.InvalidImage:
        file.seek(0)
        return None


def body_site(said: Said) -> str:
    """The site that contains the anatomic region, by its SNOMED CT code, old SRT codes included,
    or else the body part examined; "" if unknown.
    """
    if not said.regions:
        return BODY_PARTS.get(said.body_part, "")
    from pydicom.sr.coding import Code

    for value, scheme in said.regions:
        code = Code(value, "SCT" if scheme in ("SCT", "99SCT", "SNM3") else scheme, "")
        for place, site in PLACES.items():
            if code == Code(place, "SCT", ""):
                return site
    return BODY_PARTS.get(said.body_part, "")
