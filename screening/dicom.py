"""DICOM files of one picture: telling them by their bytes, and their pixels.

What else such a file says is read by ``screening.exchange.dicom``. pydicom is loaded where a DICOM
file is there: it takes half a second and 40 MB that no other picture needs.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from pydicom import Dataset

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
UNKNOWN = "unknown"
"""Where DICOM wants a maker and there is none to tell."""

_NATIVE = {
    "1.2.840.10008.1.2",  # implicit VR, little endian
    "1.2.840.10008.1.2.1",  # explicit VR, little endian
    "1.2.840.10008.1.2.2",  # explicit VR, big endian
    "1.2.840.10008.1.2.5",  # RLE, lossless
}
_COMPRESSED = {
    "1.2.840.10008.1.2.4.50": "JPEG",  # baseline
    "1.2.840.10008.1.2.4.51": "JPEG",  # extended; of 8 bits the same
    "1.2.840.10008.1.2.4.90": "JPEG2000",  # lossless
    "1.2.840.10008.1.2.4.91": "JPEG2000",
}
_DEFLATED = b"1.2.840.10008.1.2.1.99"

EXPORT = "Export it uncompressed or as JPEG baseline."
DAMAGED = "The DICOM file is damaged or was cut off on its way. Copy it again and add it anew."


class UnreadableDicom(ValueError):
    """It is DICOM, but no picture that can be kept. The message says why and what to do."""


class TooManyPixels(UnreadableDicom):
    pass


def is_dicom(data: bytes) -> bool:
    """By the four letters after the preamble."""
    return data[128:132] == b"DICM"


def read(data: bytes) -> Dataset:
    """The data set of a single picture of skin. Raises UnreadableDicom. No pixel is decoded."""
    # A few bytes may be inflated to gigabytes before anything could be counted.
    if _DEFLATED in data:
        raise UnreadableDicom(f"The DICOM file is deflated as a whole. {EXPORT}")
    from pydicom import dcmread

    try:
        dataset = dcmread(BytesIO(data))
        frames = int(dataset.get("NumberOfFrames") or 1)
        kind = str(dataset.get("SOPClassUID", ""))
        complete = all(name in dataset for name in ("PixelData", "Rows", "Columns"))
    except Exception:  # its parsers raise many kinds; none of them tells the person more
        raise UnreadableDicom(DAMAGED) from None
    if not (kind and complete):
        raise UnreadableDicom(DAMAGED)
    if kind not in (DERMOSCOPIC, VL_PHOTOGRAPHIC):
        raise UnreadableDicom(
            "This DICOM file is no photograph of skin: only dermoscopic photographs and VL "
            "photographs are taken."
        )
    if frames > 1:
        raise UnreadableDicom("The DICOM file has several frames. Export one of them by itself.")
    return dataset


def picture(dataset: Dataset, max_pixels: int) -> Image.Image:
    """The decoded picture; its ``format`` is "JPEG" where it was one. Raises UnreadableDicom."""
    if int(dataset.Rows) * int(dataset.Columns) > max_pixels:
        raise TooManyPixels("The picture has too many pixels.")
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    if syntax not in _COMPRESSED and syntax not in _NATIVE:
        raise UnreadableDicom(f"The DICOM file is compressed in a way that is not read. {EXPORT}")
    try:
        if syntax in _COMPRESSED:
            image = _decompressed(dataset, _COMPRESSED[syntax])
        else:
            image = _from_array(dataset)
        profile = dataset.get("ICCProfile")
    except UnreadableDicom:
        raise
    except Exception:
        raise UnreadableDicom(DAMAGED) from None
    if profile:
        image.info["icc_profile"] = bytes(profile)
    return image


def camera_model(dataset: Dataset) -> str:
    """Maker and model; neither tells who was photographed."""
    words = [dataset.get("Manufacturer", ""), dataset.get("ManufacturerModelName", "")]
    told = (str(word or "").strip() for word in words)
    text = " ".join(word for word in told if word.lower() != UNKNOWN).strip()
    return "".join(character for character in text if character.isprintable())[:120]


def _decompressed(dataset: Dataset, format: str) -> Image.Image:
    from pydicom.encaps import get_frame

    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    image: Any = Image.open(BytesIO(frame), formats=(format,))
    if image.size != (dataset.Columns, dataset.Rows):
        raise UnreadableDicom("The DICOM file contradicts itself about the picture's size.")
    is_rgb = dataset.PhotometricInterpretation == "RGB"
    if format == "JPEG" and is_rgb and "adobe_transform" not in image.info:
        # JPEG would take it for YCbCr; so its numbers are taken as they are.
        image.draft("YCbCr", image.size)
        return Image.frombytes("RGB", image.size, image.tobytes())
    image.load()
    return image


def _from_array(dataset: Dataset) -> Image.Image:
    from pydicom.pixels import apply_color_lut, pixel_array

    if dataset.get("PixelRepresentation"):
        raise UnreadableDicom("The DICOM file's pixels are signed numbers: no photograph has such.")
    array: np.ndarray = pixel_array(dataset)
    deeper = int(dataset.BitsStored) - 8
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        array = apply_color_lut(array, dataset)
        deeper = 8 * (array.dtype.itemsize - 1)
    if deeper > 0:
        array = array >> deeper
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        array = 255 - array
    return Image.fromarray(array.astype("uint8"))
