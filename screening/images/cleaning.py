"""From uploaded bytes to a clean picture, or a clear message about what is wrong with them.

All decoding happens in ``sandbox``, of untrusted files (``clean``, ``check``, ``said``,
``identity``) and of stored ones (``screen``, ``pixels``, ``rendered``): it takes more memory and
time than a web process can spare.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import date, time
from io import BytesIO
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml.opening.limits import FORMATS, IN_BYTES, MAX_BYTES, SCREEN_SIDE
from ml.opening.pictures import DAMAGED, InvalidImage, Picture, load_pixels, open_picture
from screening.images import dicom, sandbox
from screening.images.dicom import Identity, Said

ACCEPTED = f"{', '.join(FORMATS)} or DICOM"
MIN_SIDE = 64
THUMBNAIL_SIDE = 320
LOSSLESS_PIXELS = 20_000_000
"""Larger pictures get no lossless copy; no copy above MAX_BYTES is kept."""


@dataclass(frozen=True, slots=True)
class CleanImage:
    """A picture stripped of everything but its pixels, upright and in sRGB.

    data: JPEG, or PNG if the original was lossless and is not too large; extension: "jpg" or "png".
    thumbnail: JPEG, its longer side at most THUMBNAIL_SIDE. screen: JPEG, its longer side
    SCREEN_SIDE, or empty if the picture is no larger. width, height: pixels. sha256: of the
    bytes as sent. camera_model: maker and model from the file, or "". captured_on, captured_time:
    when it was taken, from the file; no_day: its text, if that is no day. said: what a DICOM file
    says.
    """

    data: bytes
    extension: str
    thumbnail: bytes
    screen: bytes
    width: int
    height: int
    sha256: str
    camera_model: str
    captured_on: date | None = None
    captured_time: time | None = None
    no_day: str = ""
    said: Said | None = None


def clean(file: IO[bytes]) -> CleanImage:
    """Decode ``file`` completely within limits and re-encode it. Raises InvalidImage, Busy."""
    told, (data, thumbnail, screen) = sandbox.run("clean", _bytes(file))
    return CleanImage(data, thumbnail=thumbnail, screen=screen, **_from_words(told))


def screen(file: IO[bytes]) -> bytes:
    """``CleanImage.screen`` of a stored picture. Raises as ``clean``."""
    return sandbox.run("screen", _bytes(file))[1][0]


def pixels(file: IO[bytes], side: int | None = None) -> npt.NDArray[np.uint8]:
    """``load_pixels`` of a stored picture of at most MAX_PIXELS. Raises as ``clean``."""
    told, (data,) = sandbox.run("pixels", _bytes(file), side=side)
    return np.frombuffer(data, np.uint8).reshape(told["height"], told["width"], 3)


def rendered(
    file: IO[bytes], *, format: str, quality: int, size: tuple[int, int] | None = None
) -> bytes:
    """A stored picture, encoded as ``format``. quality: of a JPEG, 1 to 100. size: width and height
    to fit into, without enlarging. Raises as ``clean``.
    """
    options = {"format": format, "quality": quality, "size": size}
    return sandbox.run("rendered", _bytes(file), **options)[1][0]


def said(file: IO[bytes]) -> Said | None:
    """The contents of a DICOM file; None for any other. Raises as ``clean``. Rewinds ``file``."""
    data = _bytes(file)
    file.seek(0)
    if not dicom.is_dicom(data):
        return None
    told, _ = sandbox.run("said", data)
    found: Said | None = _from_words(told)["said"]
    return found


def identity(file: IO[bytes]) -> Identity:
    """What kind of instance a DICOM file is. Raises as ``clean``. Rewinds ``file``."""
    data = _bytes(file)
    file.seek(0)
    told, _ = sandbox.run("identity", data)
    return Identity(**told)


def answer(asked: str, data: bytes, **options: Any) -> tuple[dict[str, Any], list[bytes]]:
    """The result of ``sandbox.run``, computed in this process. Raises InvalidImage."""
    if asked in ("pixels", "rendered"):
        image = _stored(data, options.get("side"))
        if asked == "rendered":
            return {}, [_rendered(image, **options)]
        return {"width": image.width, "height": image.height}, [image.tobytes()]
    if asked == "said":
        return _in_words({"said": dicom.said(dicom.read(data))}), []
    if asked == "identity":
        return asdict(dicom.identity(data)), []
    picture, found = _opened(data)
    if asked == "screen":
        return {}, [_screen(picture.image)]
    image, stored = picture.image, _encoded(picture)
    told = {
        "extension": "png" if stored.startswith(b"\x89PNG") else "jpg",
        "width": image.width,
        "height": image.height,
        "sha256": hashlib.sha256(data).hexdigest(),
        "camera_model": picture.exif.camera,
        "captured_on": found.taken_on if found else picture.exif.taken_on,
        "captured_time": found.taken_at if found else picture.exif.taken_at,
        "no_day": found.no_day if found else picture.exif.no_day,
        "said": found,
    }
    return _in_words(told), [stored, _thumbnail(image), _screen(image)]


def _in_words(told: dict[str, Any]) -> dict[str, Any]:
    """JSON types only, so that nothing from a sandboxed process is ever executed."""
    if isinstance(told["said"], Said):
        told["said"] = asdict(told["said"])
    words: dict[str, Any] = json.loads(json.dumps(told, default=str))
    return words


def _from_words(told: dict[str, Any]) -> dict[str, Any]:
    if told.get("captured_on"):
        told["captured_on"] = date.fromisoformat(told["captured_on"])
    if told.get("captured_time"):
        told["captured_time"] = time.fromisoformat(told["captured_time"])
    if said := told.get("said"):
        said["taken_on"] = date.fromisoformat(said["taken_on"]) if said["taken_on"] else None
        said["taken_at"] = time.fromisoformat(said["taken_at"]) if said["taken_at"] else None
        said["regions"] = tuple(tuple(region) for region in said["regions"])
        told["said"] = Said(**said)
    return told


def _bytes(file: IO[bytes]) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if not data:
        raise InvalidImage("The file is empty. Choose the picture again.")
    if len(data) > MAX_BYTES:
        raise InvalidImage(
            f"The file is larger than {IN_BYTES}. Export it smaller and add it again."
        )
    return data


def _opened(data: bytes) -> tuple[Picture, Said | None]:
    if dicom.is_dicom(data):
        dataset = dicom.read(data)
        picture, found = dicom.picture(dataset), dicom.said(dataset)
    else:
        picture, found = open_picture(data, more=("DICOM",)), None
    if min(picture.image.size) < MIN_SIDE:
        raise InvalidImage(
            f"The picture is only {picture.image.width} x {picture.image.height} pixels. "
            f"Each side needs at least {MIN_SIDE}."
        )
    return picture, found


def _stored(data: bytes, side: int | None) -> Image.Image:
    try:
        return Image.fromarray(load_pixels(BytesIO(data), side))
    except OSError:
        raise InvalidImage(DAMAGED) from None


def _rendered(
    image: Image.Image, *, format: str, quality: int, size: tuple[int, int] | None
) -> bytes:
    if size:
        share = min(1, size[0] / image.width, size[1] / image.height)
        smaller = max(1, round(image.width * share)), max(1, round(image.height * share))
        image = image.resize(smaller, Image.Resampling.LANCZOS)
    return _saved(image, format, quality=quality)


def _encoded(picture: Picture) -> bytes:
    """At most MAX_BYTES, whatever the input: a lossless copy may be ten times its original."""
    image = picture.image
    if picture.lossless and image.width * image.height <= LOSSLESS_PIXELS:
        data = _saved(image, "PNG", compress_level=3)
        if len(data) <= MAX_BYTES:
            return data
    for quality, sampling in ((95, "4:4:4"), (85, "4:2:0"), (60, "4:2:0")):
        data = _saved(image, "JPEG", quality=quality, subsampling=sampling)
        if len(data) <= MAX_BYTES:
            break
    return data


def _saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _thumbnail(image: Image.Image) -> bytes:
    return _smaller(image, THUMBNAIL_SIDE)


def _screen(image: Image.Image) -> bytes:
    return _smaller(image, SCREEN_SIDE) if max(image.size) > SCREEN_SIDE else b""


def _smaller(image: Image.Image, side: int) -> bytes:
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _saved(small, "JPEG", quality=85)
