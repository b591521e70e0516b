"""Bytes that someone sent -> a clean picture, or a clear word on what is wrong with them."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps

from screening import dicom

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_BYTES = 20_000_000
MAX_PIXELS = 40_000_000
MIN_SIDE = 64
THUMBNAIL_SIDE = 320
FORMATS = ("JPEG", "PNG", "WEBP")

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
_SRGB = ImageCms.createProfile("sRGB")


class InvalidImage(ValueError):
    """The bytes are no picture that can be kept. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class CleanImage:
    """A picture without anything but its pixels, upright and in sRGB.

    data: JPEG, or PNG where the original was none (PNG, WebP, most DICOM); extension: "jpg" or
        "png".
    thumbnail: JPEG, its longer side at most THUMBNAIL_SIDE. width, height: pixels.
    sha256: of the bytes that were sent. camera_model: maker and model as EXIF had them, or "".
    """

    data: bytes
    extension: str
    thumbnail: bytes
    width: int
    height: int
    sha256: str
    camera_model: str


def clean(file: IO[bytes]) -> CleanImage:
    """Decode all of ``file`` within bounds and write it anew. Raises InvalidImage."""
    data = _bytes(file)
    dataset = _dataset(data) if dicom.is_dicom(data) else None
    original = _open(data) if dataset is None else _open_dicom(dataset)
    pixels = _upright_srgb(original)
    lossy = original.format == "JPEG"
    return CleanImage(
        data=_encode(pixels, lossy=lossy),
        extension="jpg" if lossy else "png",
        thumbnail=_thumbnail(pixels),
        width=pixels.width,
        height=pixels.height,
        sha256=hashlib.sha256(data).hexdigest(),
        camera_model=_camera_model(original) if dataset is None else dicom.camera_model(dataset),
    )


def check(file: IO[bytes]) -> None:
    """Decode all of ``file`` within the same bounds, and keep nothing. Raises InvalidImage."""
    data = _bytes(file)
    if dicom.is_dicom(data):
        _open_dicom(_dataset(data))
    else:
        _open(data)


def load_pixels(file: IO[bytes], side: int | None = None) -> np.ndarray:
    """Pixels of a file that ``clean`` wrote: uint8, height x width x 3. Raises OSError.

    side: make the copy smaller, so that neither side is longer than this.
    """
    with Image.open(file, formats=("JPEG", "PNG")) as image:
        if side is not None:
            image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        return np.asarray(image.convert("RGB"))


def _bytes(file: IO[bytes]) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if not data:
        raise InvalidImage("The file is empty. Choose the picture again.")
    if len(data) > MAX_BYTES:
        raise InvalidImage("The file is larger than 20 MB. Export it smaller and add it again.")
    return data


def _open(data: bytes) -> Image.Image:
    """The decoded picture. Size and animation are checked before any pixel is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels() from None
    except Exception:  # Pillow's parsers raise many kinds; none of them tells the person more
        raise InvalidImage(
            "This is not a JPEG, PNG, WebP or DICOM picture. Export it in one of these formats."
        ) from None
    _check_size(image)
    if getattr(image, "n_frames", 1) > 1:
        raise InvalidImage("The picture is animated. Add a still picture.")
    try:
        image.load()
    except Exception:
        raise InvalidImage(
            "The picture is damaged or was cut off on its way. Copy it again and add it anew."
        ) from None
    return image


def _dataset(data: bytes) -> Dataset:
    try:
        return dicom.read(data)
    except dicom.UnreadableDicom as error:
        raise InvalidImage(str(error)) from None


def _open_dicom(dataset: Dataset) -> Image.Image:
    """As ``_open``: the picture within a DICOM file."""
    try:
        image = dicom.picture(dataset, MAX_PIXELS)
    except dicom.TooManyPixels:
        raise _too_many_pixels() from None
    except dicom.UnreadableDicom as error:
        raise InvalidImage(str(error)) from None
    _check_size(image)
    return image


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_many_pixels()
    if min(image.size) < MIN_SIDE:
        raise InvalidImage(
            f"The picture is only {image.width} x {image.height} pixels. "
            f"Each side needs at least {MIN_SIDE}."
        )


def _too_many_pixels() -> InvalidImage:
    return InvalidImage(
        "The picture has more than 40 megapixels. Export it smaller and add it again."
    )


def _upright_srgb(image: Image.Image) -> Image.Image:
    """RGB pixels on a fresh canvas: a copy would keep the JPEG comment in its ``info``."""
    profile = image.info.get("icc_profile")
    upright = ImageOps.exif_transpose(image)
    if "A" in upright.getbands() or "transparency" in upright.info:
        rgba = upright.convert("RGBA")
        upright = Image.new("RGB", rgba.size, "white")
        upright.paste(rgba, mask=rgba.getchannel("A"))
        profile = profile if image.mode in ("RGB", "RGBA") else None
    elif upright.mode.startswith("I;16"):
        upright = upright.point(lambda value: value / 256).convert("L")
        profile = None
    if profile:
        upright = _to_srgb(upright, profile)
    fresh = Image.new("RGB", upright.size)
    fresh.paste(upright.convert("RGB"))
    return fresh


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Colours by the picture's own profile; a broken or unfitting profile is left aside."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted if converted is not None else image


def _encode(image: Image.Image, *, lossy: bool) -> bytes:
    buffer = BytesIO()
    if lossy:
        image.save(buffer, "JPEG", quality=95, subsampling="4:4:4")
    else:
        image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _thumbnail(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _camera_model(image: Image.Image) -> str:
    try:
        exif = image.getexif()
        words = [str(exif.get(tag, "")) for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
    except Exception:  # damaged EXIF is no reason to refuse a picture
        return ""
    text = " ".join(word.strip("\0 ") for word in words).strip()
    return "".join(character for character in text if character.isprintable())[:120]
