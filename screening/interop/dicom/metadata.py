"""What a DICOM file says beside its pixels, in our words."""

from __future__ import annotations

from typing import IO

from screening.images import cleaning
from screening.images.dicom import Said
from screening.interop.codes import PLACES


def read_metadata(file: IO[bytes]) -> Said | None:
    """None for what is no DICOM file, or none that can be read: whoever adds it says why."""
    try:
        return cleaning.said(file)
    except cleaning.InvalidImage:
        file.seek(0)
        return None


def body_site(said: Said) -> str:
    """The site in which the anatomic region lies, by its SNOMED CT code, of old coding too; ""
    where there is none that is known."""
    if not said.regions:
        return ""
    from pydicom.sr.coding import Code

    for value, scheme in said.regions:
        code = Code(value, "SCT" if scheme in ("SCT", "99SCT", "SNM3") else scheme, "")
        for place, site in PLACES.items():
            if code == Code(place, "SCT", ""):
                return site
    return ""
