"""Single-picture DICOM files: detection, pixels and metadata.

pydicom is loaded only for a DICOM file: it takes half a second and 40 MB that no other picture
needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from ml.opening import containers
from ml.opening.exif import Exif
from ml.opening.pictures import InvalidImage, Picture, finished, require_size

if TYPE_CHECKING:
    import numpy as np
    from pydicom import Dataset

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
_CAPTURES = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4")
"""Secondary Capture, and its form for several frames in true colour."""
UNKNOWN = "unknown"
"""DICOM's manufacturer, if none is known."""

_ARRAYS = {
    "1.2.840.10008.1.2",  # implicit VR, little endian
    "1.2.840.10008.1.2.1",  # explicit VR, little endian
    "1.2.840.10008.1.2.2",  # explicit VR, big endian
    "1.2.840.10008.1.2.5",  # RLE, lossless
}
_JPEG_LS = {"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"}  # lossless, near-lossless
_JPEG = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}  # baseline; extended, of 8 bits
_JPEG_LOSSLESS = {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
_JPEG_2000 = {
    "1.2.840.10008.1.2.4.90",  # lossless
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.201",  # High-Throughput JPEG 2000, lossless
    "1.2.840.10008.1.2.4.202",  # the same, in layers of resolution
    "1.2.840.10008.1.2.4.203",
}
_DEFLATED = b"1.2.840.10008.1.2.1.99"

_DATES = ("AcquisitionDateTime", "AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")
_TIMES = {
    "AcquisitionDate": "AcquisitionTime",
    "ContentDate": "ContentTime",
    "SeriesDate": "SeriesTime",
    "StudyDate": "StudyTime",
}
SQUARE = 0.01
"""Pixels that deviate more than this from a square have no single size."""
MAX_ITEMS, MAX_ELEMENTS = 2_000, 5_000
"""The maximum number of elements, in sequences and at the top level. A photograph has a few
dozen.
"""
_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")

EXPORT = "Export it uncompressed or as JPEG baseline."
LONGEST = 64
"""The characters of an identifier (PS3.5, 6.2)."""
NO_IDENTITY = (
    f"An identifier in the DICOM file has several values, or more than {LONGEST} characters."
)
CONTRADICTS = "The DICOM file contradicts itself about the picture's size."
DAMAGED = "The DICOM file is damaged or was cut off on its way. Copy it again and add the copy."


@dataclass(frozen=True, slots=True)
class Said:
    """taken_on: the first day given, plausible or not; None if none is given or if it is not a date
    (no_day). taken_at, mm_per_pixel: None if not given. regions: code and coding scheme of each
    anatomic region. body_part: the term of BodyPartExamined. instance: the picture's own UID,
    stored only on request. burned_in: whether text in the picture may identify the person.
    is_capture: a Secondary Capture, which does not say what it shows. is_dermoscopic, is_ordinary:
    what its SOP class calls it.
    """

    taken_on: date | None = None
    taken_at: time | None = None
    no_day: str = ""
    regions: tuple[tuple[str, str], ...] = ()
    body_part: str = ""
    mm_per_pixel: float | None = None
    instance: str = ""
    burned_in: bool = False
    is_capture: bool = False
    is_dermoscopic: bool = False
    is_ordinary: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file says it is: UIDs of class, instance, series, study and transfer syntax, the
    patient's number and its issuer. Empty where the file says nothing.
    """

    kind: str = ""
    instance: str = ""
    series: str = ""
    study: str = ""
    syntax: str = ""
    patient: str = ""
    issuer: str = ""


def is_dicom(data: bytes) -> bool:
    """Check the four letters after the preamble."""
    return data[128:132] == b"DICM"


def read(data: bytes) -> Dataset:
    """The data set of a single picture of skin. Raises InvalidImage. Decodes no pixels."""
    dataset = _parsed(data)
    try:
        frames = int(dataset.get("NumberOfFrames") or 1)
        kind = str(dataset.get("SOPClassUID", ""))
        complete = all(name in dataset for name in ("PixelData", "Rows", "Columns"))
    except Exception:  # its parsers raise many kinds; none is useful to the user
        raise InvalidImage(DAMAGED) from None
    if not (kind and complete):
        raise InvalidImage(DAMAGED)
    if not is_photograph(kind) and kind not in _CAPTURES:
        raise InvalidImage(
            "This DICOM file is not a photograph of skin. Only dermoscopic and VL photographs can "
            "be added, and Secondary Captures that someone confirms to be one."
        )
    if frames > 1:
        raise InvalidImage("The DICOM file has several frames. Export one of them by itself.")
    return dataset


def is_photograph(kind: str) -> bool:
    """Whether a SOP class says that its instances are photographs."""
    return kind in (DERMOSCOPIC, VL_PHOTOGRAPHIC)


def is_read(syntax: str) -> bool:
    """Whether pictures in this transfer syntax can be read."""
    return syntax in _ARRAYS | _JPEG_LS | _JPEG | _JPEG_LOSSLESS | _JPEG_2000


def identity(data: bytes) -> Identity:
    """What kind of instance the file is. Raises InvalidImage for anything but a DICOM file. Decodes
    no pixels.
    """
    if not is_dicom(data):
        raise InvalidImage("This is no DICOM file.")
    dataset = _parsed(data)
    try:
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    except Exception:
        raise InvalidImage(DAMAGED) from None
    names = {
        "kind": "SOPClassUID",
        "instance": "SOPInstanceUID",
        "series": "SeriesInstanceUID",
        "study": "StudyInstanceUID",
        "patient": "PatientID",
        "issuer": "IssuerOfPatientID",
    }
    values = {name: _value(dataset, keyword) or "" for name, keyword in names.items()}
    found = {name: value.strip() for name, value in values.items() if isinstance(value, str)}
    if len(found) < len(values) or any(len(one) > LONGEST for one in (*found.values(), syntax)):
        raise InvalidImage(NO_IDENTITY)
    return Identity(**found, syntax=syntax)


def _parsed(data: bytes) -> Dataset:
    # Refused: a few bytes may inflate to gigabytes before they can be counted.
    if _DEFLATED in data:
        raise InvalidImage(f"The DICOM file is deflated as a whole. {EXPORT}")
    if any(data.count(item) > MAX_ITEMS for item in _ITEMS):
        raise InvalidImage("The DICOM file holds far more items than a photograph has.")
    from pydicom.filereader import read_partial

    try:
        return read_partial(BytesIO(data), stop_when=_Cap())
    except InvalidImage:
        raise
    except Exception:  # its parsers raise many kinds of errors; none is useful to the user
        raise InvalidImage(DAMAGED) from None


class _Cap:
    """Called by the parser before each top-level element, to decide whether to stop."""

    def __init__(self) -> None:
        self._met = 0

    def __call__(self, tag: Any, vr: str | None, length: int) -> bool:
        self._met += 1
        if self._met > MAX_ELEMENTS:
            raise InvalidImage("The DICOM file holds far more elements than a photograph has.")
        return False


def picture(dataset: Dataset) -> Picture:
    """The decoded picture. Raises InvalidImage."""
    require_size((int(dataset.Columns), int(dataset.Rows)))
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    try:
        image = _decoded(dataset, syntax)
        if profile := _value(dataset, "ICCProfile"):
            image.info["icc_profile"] = bytes(profile)
        told = Exif(camera=_camera(dataset))
        return finished(image, told, lossless=syntax not in _JPEG)
    except InvalidImage:
        raise
    except containers.TooManyScans:
        raise InvalidImage(f"The DICOM file's JPEG has far too many layers. {EXPORT}") from None
    except Exception:
        raise InvalidImage(DAMAGED) from None


def _decoded(dataset: Dataset, syntax: str) -> Image.Image:
    if syntax in _JPEG | _JPEG_LOSSLESS and int(dataset.BitsStored) > 8:
        raise InvalidImage(f"The DICOM file's JPEG has more than 8 bits a sample. {EXPORT}")
    if syntax in _JPEG:
        return _jpeg(dataset)
    if syntax in _JPEG_LOSSLESS:
        return _jpeg_lossless(dataset)
    if syntax in _JPEG_2000:
        return _of_size(dataset, Image.open(BytesIO(_frame(dataset)), formats=("JPEG2000",)))
    if syntax in _JPEG_LS:
        _require_size_of_jpeg_ls(dataset)
        return _from_array(dataset)
    if syntax in _ARRAYS:
        return _from_array(dataset)
    raise InvalidImage(
        f"The DICOM file is compressed in a way ({syntax[:64] or 'not named'}) that cannot be read "
        f"here. {EXPORT}"
    )


def said(dataset: Dataset) -> Said:
    """The file's metadata, as far as it can be read."""
    taken_on, taken_at, no_day = _taken(dataset)
    regions = _value(dataset, "AnatomicRegionSequence") or []
    kind = _text(dataset, "SOPClassUID")
    is_capture = kind in _CAPTURES
    return Said(
        taken_on=taken_on,
        taken_at=taken_at,
        no_day=no_day,
        regions=tuple(
            (_text(item, "CodeValue"), _text(item, "CodingSchemeDesignator")) for item in regions
        ),
        body_part=_text(dataset, "BodyPartExamined").strip().upper(),
        mm_per_pixel=None if is_capture else _mm_per_pixel(dataset),
        instance=_text(dataset, "SOPInstanceUID"),
        burned_in=_text(dataset, "BurnedInAnnotation").strip().upper() == "YES",
        is_capture=is_capture,
        is_dermoscopic=kind == DERMOSCOPIC,
        is_ordinary=kind == VL_PHOTOGRAPHIC,
    )


def _taken(dataset: Dataset) -> tuple[date | None, time | None, str]:
    """Day and hour from the first element that has a value, or its text if it is not a date."""
    name = next((name for name in _DATES if _text(dataset, name).strip()), _DATES[0])
    told = _text(dataset, name).strip()
    try:
        day = datetime.strptime(told[:8], "%Y%m%d").date()  # noqa: DTZ007  a day has no zone
    except ValueError:
        return None, None, told[:8]
    return day, _time(_text(dataset, _TIMES[name]) if name in _TIMES else told[8:]), ""


def _time(told: str) -> time | None:
    """DICOM's TM, and the time part of a DT: HHMMSS, possibly truncated."""
    digits = told[:6]
    if len(digits) < 4 or not digits.isdecimal():
        return None
    try:
        return time(int(digits[:2]), int(digits[2:4]), int(digits[4:6] or 0))
    except ValueError:
        return None


def _mm_per_pixel(dataset: Dataset) -> float | None:
    """Millimetres per pixel, only if pixels are square and plausible for a picture of skin."""
    spacing = _value(dataset, "PixelSpacing") or []
    try:
        down, across = (float(part) for part in spacing)
    except (TypeError, ValueError):
        return None
    if not 0 < across <= 1 or abs(down - across) > SQUARE * across:
        return None
    return across


def _value(dataset: Dataset, name: str) -> Any:
    """An element's value; None if it is missing or not of its declared type."""
    try:
        return dataset.get(name)
    except Exception:  # pydicom converts lazily, and fails in many ways
        return None


def _text(dataset: Dataset, name: str) -> str:
    value = _value(dataset, name)
    return str(value) if value is not None else ""


def _camera(dataset: Dataset) -> str:
    """Maker and model; neither identifies the person."""
    words = [_text(dataset, name).strip() for name in ("Manufacturer", "ManufacturerModelName")]
    text = " ".join(word for word in words if word.lower() != UNKNOWN).strip()
    return "".join(character for character in text if character.isprintable())[:120]


def _frame(dataset: Dataset) -> bytes:
    from pydicom.encaps import get_frame

    return get_frame(dataset.PixelData, 0, number_of_frames=1)


def _of_size(dataset: Dataset, image: Any) -> Any:
    """The image, opened but not decoded. Raises InvalidImage if the tags give another size."""
    if image.size != (dataset.Columns, dataset.Rows):
        raise InvalidImage(CONTRADICTS)
    return image


def _jpeg(dataset: Dataset) -> Image.Image:
    image = _of_size(dataset, JpegImageFile(BytesIO(containers.jpeg(_frame(dataset)).data)))
    is_rgb = dataset.PhotometricInterpretation == "RGB"
    if is_rgb and not image.info.keys() & {"adobe_transform", "jfif"}:
        # JPEG would be decoded as YCbCr, so the values are taken as they are. If the stream
        # declares a colour space (JFIF is always YCbCr), it is right and the tag is wrong.
        image.draft("YCbCr", image.size)
        return Image.frombytes("RGB", image.size, image.tobytes())
    return _as_tagged(dataset, image)


def _jpeg_lossless(dataset: Dataset) -> Image.Image:
    """The colour space of the values: the stream's if it declares one, else the tag's."""
    image = _of_size(dataset, JpegImageFile(BytesIO(containers.jpeg(_frame(dataset)).data)))
    if image.mode != "RGB":
        return _as_tagged(dataset, image)
    told = image.info
    is_ybr = dataset.PhotometricInterpretation.startswith("YBR")
    if "jfif" in told or "adobe_transform" in told:
        is_ybr = "jfif" in told or bool(told["adobe_transform"])
        if is_ybr:  # the decoder converts no lossless colours
            image.draft("YCbCr", image.size)
    return Image.frombytes("YCbCr" if is_ybr else "RGB", image.size, image.tobytes())


def _as_tagged(dataset: Dataset, image: Image.Image) -> Image.Image:
    """One component: grey, or an index into a palette."""
    if image.mode != "L" or dataset.PhotometricInterpretation == "MONOCHROME2":
        image.load()
        return image
    import numpy as np

    return _from_values(dataset, np.asarray(image))


def _require_size_of_jpeg_ls(dataset: Dataset) -> None:
    """Check the size before the decoder allocates memory."""
    frame = _frame(dataset)
    head = frame[(at := frame.find(b"\xff\xf7")) : at + 9] if b"\xff\xf7" in frame else b""
    size = int.from_bytes(head[7:9], "big"), int.from_bytes(head[5:7], "big")
    if size != (dataset.Columns, dataset.Rows):
        raise InvalidImage(CONTRADICTS)


def _from_array(dataset: Dataset) -> Image.Image:
    from pydicom.pixels import pixel_array

    if dataset.get("PixelRepresentation"):
        raise InvalidImage("The DICOM file's pixels are signed numbers, as in no photograph.")
    return _from_values(dataset, pixel_array(dataset))


def _from_values(dataset: Dataset, array: np.ndarray) -> Image.Image:
    """array: as stored, YBR converted to RGB."""
    from pydicom.pixels import apply_color_lut

    deeper = int(dataset.BitsStored) - 8
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        array = apply_color_lut(array, dataset)
        deeper = 8 * (array.dtype.itemsize - 1)
    if deeper > 0:
        array = array >> deeper
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        array = 255 - array
    return Image.fromarray(array.astype("uint8"))
