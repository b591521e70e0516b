"""DICOM files for tests, as a dermatoscope's software writes them, with a person's name."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmwrite, uid
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate

from screening.images import synthetic

NAME = "Muster^Erika"
NUMBER = "HN-0047-1100"
BACK = ("66643007", "SCT")
SIZE = (300, 225)


def picture(size: tuple[int, int] = SIZE) -> Image.Image:
    return synthetic.draw_lesion(seed=3, size=size)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def dicom(
    *,
    syntax: str = uid.ExplicitVRLittleEndian,
    image: Image.Image | None = None,
    frame: bytes | None = None,
    region: tuple[str, str] | None = BACK,
    **elements: Any,
) -> bytes:
    """frame: already compressed, for a compressed syntax; elements: set last, None to omit."""
    image = image or picture()
    native = image.tobytes()
    native += b"\0" * (len(native) % 2)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uid.UID(syntax)
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    values: dict[str, Any] = {
        "SOPClassUID": uid.DermoscopicPhotographyImageStorage,
        "SOPInstanceUID": "1.2.3.4",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.5",
        "PatientName": NAME,
        "PatientID": NUMBER,
        "PatientBirthDate": "19610203",
        "Modality": "DMS",
        "AcquisitionDateTime": "20260112103000",
        "StudyDate": "20200101",
        "Manufacturer": "Acme",
        "ManufacturerModelName": "Lens 4",
        "PixelSpacing": [0.02, 0.02],
        "Rows": image.height,
        "Columns": image.width,
        "SamplesPerPixel": len(image.getbands()),
        "PhotometricInterpretation": "RGB" if frame is None else "YBR_FULL_422",
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "PixelData": encapsulate([frame]) if frame else native,
    }
    if len(image.getbands()) > 1:
        values["PlanarConfiguration"] = 0
    if region:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator = region
        item.CodeMeaning = "A place"
        values["AnatomicRegionSequence"] = [item]
    for name, value in (values | elements).items():
        if value is not None:
            setattr(dataset, name, value)
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OB" if values["BitsAllocated"] == 8 else "OW"
    if frame:
        dataset["PixelData"].is_undefined_length = True
    buffer = BytesIO()
    implicit = syntax == uid.ImplicitVRLittleEndian
    dcmwrite(
        buffer,
        dataset,
        implicit_vr=implicit,
        little_endian=syntax != uid.ExplicitVRBigEndian,
        enforce_file_format=True,
    )
    return buffer.getvalue()


def as_ybr(image: Image.Image) -> bytes:
    return image.convert("YCbCr").tobytes()


def planes(image: Image.Image) -> bytes:
    return np.asarray(image).transpose(2, 0, 1).tobytes()


def many_items() -> bytes:
    """19 MB of empty items in a DICOM file."""
    whole = dicom(image=picture((80, 72)))
    meta = 144 + int.from_bytes(whole[140:144], "little")
    sequence = b"\x08\x00\x15\x22SQ\0\0\xff\xff\xff\xff"
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 2_300_000
    return whole[:meta] + sequence + items + b"\xfe\xff\xdd\xe0\0\0\0\0" + whole[meta:]
