"""From picture files to pixels: upright, sRGB, 8 bits, opaque. The only place that opens them.

The site, ``manage.py screen`` and ``ml predict`` all open pictures here, so limits and formats are
the same for all. A decoder's work is limited before it starts, and any exception it raises becomes
InvalidImage. For untrusted files use ``screening.images.sandbox``, which calls this module.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from ml.opening import colour, containers, exif
from ml.opening.exif import Exif
from ml.opening.limits import (
    FORMATS,
    KEPT_PIXELS,
    MAX_JPEG_PIXELS,
    MAX_PIXELS,
    MAX_WEBP_PIXELS,
)
from ml.opening.rgb import to_rgb


def load_pixels(file: IO[bytes], side: int | None = None) -> np.ndarray:
    """Pixels of a file that ``clean`` wrote: uint8, height x width x 3. Raises OSError, without a
    number if the file was damaged since.

    side: reduce the copy so that neither side is longer than this.
    """
    data = BytesIO(file.read())  # before decoding: the storage's errors are others than a decoder's
    try:
        with Image.open(data, formats=("JPEG", "PNG")) as image:
            require_size(image.size, MAX_JPEG_PIXELS)
            if side is not None:
                image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
            return np.asarray(image.convert("RGB"))
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many kinds
        raise OSError(f"a damaged picture: {type(error).__name__}") from None


_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SEQUENCES = {b"avis", b"msf1", b"hevc", b"hevx", b"hevm", b"hevs"}
_STILL_HEIF = {b"heic", b"heix", b"heim", b"heis", b"mif1"}
_OTHERS = (
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF or camera raw"),
    (0, b"MM\0*", "TIFF or camera raw"),
    (0, b"%PDF", "PDF"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"PK\x03\x04", "ZIP"),
    (4, b"ftyp", "video"),
)


ANIMATED = "The picture is animated. Add a still picture."
DAMAGED = "The picture is damaged or was cut off on its way. Copy it again and add the copy."
TOO_MANY_PIXELS = "The picture has more than {} megapixels. Export it smaller and add it again."


class InvalidImage(ValueError):
    """The bytes are not an acceptable picture. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Picture:
    """image: RGB. lossless: whether the file stored every pixel exactly."""

    image: Image.Image
    lossless: bool
    exif: Exif


def open_image(path: Path | str) -> npt.NDArray[np.uint8]:
    """A file's pixels, uint8 [h, w, 3]. Raises InvalidImage. Also accepts BMP and TIFF, which
    research data uses.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InvalidImage("there is no such file") from None
    except (OSError, ValueError):
        raise InvalidImage("the file cannot be read") from None
    return np.asarray(open_picture(data, more=("BMP", "TIFF")).image)


def open_picture(data: bytes, more: tuple[str, ...] = ()) -> Picture:
    """more: formats that the caller accepts beside FORMATS; of these BMP and TIFF are opened here.
    Raises InvalidImage.
    """
    try:
        return _opener(data, more)(data)
    except InvalidImage:
        raise
    except containers.TooManyScans:
        raise InvalidImage(
            "The JPEG is stored in far too many layers. Export it again and add that."
        ) from None
    except containers.Animated:
        raise InvalidImage(ANIMATED) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(MAX_PIXELS) from None
    except Exception:  # decoders raise many kinds; none is useful to the user
        raise InvalidImage(DAMAGED) from None


def finished(
    image: Image.Image, told: Exif, *, lossless: bool, key: tuple[int, ...] | None = None
) -> Picture:
    """The picture from a decoder's output in any mode. key: the colour that means "transparent"."""
    halvings = _halvings(image.size)
    fresh = to_rgb(image, key, 2**halvings)
    if told.orientation in _TURNED:
        fresh = fresh.transpose(_TURNED[told.orientation])
    return Picture(fresh, lossless and not halvings, told)


def require_size(size: tuple[int, int], most: int = MAX_PIXELS) -> None:
    if size[0] * size[1] > most:
        raise _too_many_pixels(most)


def _too_many_pixels(most: int) -> InvalidImage:
    return InvalidImage(TOO_MANY_PIXELS.format(most // 1_000_000))


def _opener(data: bytes, more: tuple[str, ...]) -> Callable[[bytes], Picture]:
    """By the first bytes: the file name does not matter."""
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp
    if brand in _SEQUENCES:
        raise containers.Animated
    if brand == b"avif" or (brand == b"mif1" and b"avif" in data[16:64]):
        return _avif
    if brand in _STILL_HEIF:
        return _heif
    for start, signature, name in _OTHERS:
        if data.startswith(signature, start):
            if name.split()[0] in more:
                return _plain
            raise InvalidImage(f"This is a {name} file, {not_taken(more)}")
    raise InvalidImage(f"This is {not_taken(more)}")


def not_taken(more: tuple[str, ...] = ()) -> str:
    """How a refusal goes on that names what is taken."""
    *names, last = *FORMATS, *more
    return f"not a {', '.join(names)} or {last} picture. Export it in one of these formats."


def _jpeg(data: bytes) -> Picture:
    taken = containers.jpeg(data)
    require_size(taken.size, MAX_JPEG_PIXELS if taken.is_baseline else MAX_PIXELS)
    image = JpegImageFile(BytesIO(taken.data))
    if halvings := _halvings(taken.size):
        image.draft(None, (taken.size[0] >> halvings, taken.size[1] >> halvings))
    return finished(image, exif.read(taken.exif), lossless=False)


def _png(data: bytes) -> Picture:
    taken = containers.png(data)
    require_size(taken.size)
    image = _opened(taken.data, "PNG")
    key = taken.key
    if key and taken.depth < 8:
        key = tuple(sample * 255 // (2**taken.depth - 1) for sample in key)
    elif key and not image.mode.startswith("I"):  # Pillow keeps the upper 8 of 16 bits
        key = tuple(sample >> max(taken.depth - 8, 0) for sample in key)
    return finished(image, exif.read(taken.exif), lossless=True, key=key)


def _webp(data: bytes) -> Picture:
    taken = containers.webp(data)
    require_size(taken.size, MAX_WEBP_PIXELS)
    return finished(_opened(data, "WEBP"), exif.read(taken.exif), lossless=True)


def _avif(data: bytes) -> Picture:
    data, block = containers.without_exif(data)
    image = _opened(data, "AVIF")
    if getattr(image, "n_frames", 1) > 1:
        raise containers.Animated
    _name_colours(image, data)
    turned = exif.read(image.info.get("exif", b""))  # what Pillow writes of the file's own turning
    told = exif.read(exif.find(block))
    return finished(image, replace(told, orientation=turned.orientation), lossless=False)


def _heif(data: bytes) -> Picture:
    # Loaded only for such a file: no other needs its libraries.
    from pillow_heif import HeifFile

    data, block = containers.without_exif(data)
    opened: Any = HeifFile(BytesIO(data))
    require_size(opened.size)
    image = opened.to_pillow()
    _name_colours(image, data)
    told = exif.read(exif.find(block))
    # The decoder applies the container's orientation, which EXIF duplicates.
    return finished(image, replace(told, orientation=1), lossless=False)


def _name_colours(image: Image.Image, data: bytes) -> None:
    """Give a picture whose file names its colours by numbers the profile that says the same."""
    if image.info.get("icc_profile"):
        return
    primaries, transfer = containers.colours(data)
    if stored := colour.NOT_FOR_SCREENS.get(transfer):
        raise InvalidImage(
            f"The picture's brightness is stored {stored}: its colours cannot be read. Export it "
            "as JPEG and add that."
        )
    if profile := colour.profile(primaries):
        image.info["icc_profile"] = profile


def _plain(data: bytes) -> Picture:
    image = _opened(data, "BMP" if data.startswith(b"BM") else "TIFF")
    if getattr(image, "n_frames", 1) > 1:
        raise InvalidImage("The file holds several pictures. Export one of them by itself.")
    return finished(image, Exif(_orientation(image)), lossless=True)


def _orientation(image: Image.Image) -> int:
    tags: Any = getattr(image, "tag_v2", {})
    try:
        return int(tags.get(0x0112, 1))
    except (TypeError, ValueError):
        return 1


def _opened(data: bytes, format: str) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(BytesIO(data), formats=(format,))
        require_size(image.size)
        return image


def _halvings(size: tuple[int, int]) -> int:
    halvings = 0
    while (size[0] >> halvings) * (size[1] >> halvings) > KEPT_PIXELS:
        halvings += 1
    return halvings
