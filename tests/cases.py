"""Synthetic pictures of kinds that once failed, as bytes."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from io import BytesIO
from typing import Any

import pillow_heif
from PIL import Image

from screening.images import synthetic

MORNING = "2024:03:16 12:50:49"


@cache
def spot(size: tuple[int, int] = (300, 225)) -> Image.Image:
    return synthetic.draw_lesion(seed=7, size=size)


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def exif(orientation: int = 1, taken: str | None = MORNING, *, place: bool = True) -> bytes:
    """A complete block, including a GPS position that must not be kept."""
    block = Image.Exif()
    block[0x010F], block[0x0110], block[0x0112] = "Phone", "Phone 12", orientation
    if taken is not None:
        block.get_ifd(0x8769)[0x9003] = taken
    if place:
        block.get_ifd(0x8825)[1] = "N"
        block.get_ifd(0x8825)[29] = "GPS-of-a-home"
    return block.tobytes()


def mpo(*, exif_block: bytes = b"", stripped: bool = False) -> bytes:
    """A phone's JPEG with a second, smaller picture; stripped: as a messenger leaves it, with the
    index of both and only the first.
    """
    first, second = spot(), spot((160, 120))
    data = encoded(first, "MPO", save_all=True, append_images=[second], exif=exif_block)
    return data[: data.index(b"\xff\xd9") + 2] if stripped else data


def heic(image: Image.Image | None = None, format: str = "HEIF", **options: Any) -> bytes:
    buffer = BytesIO()
    if format == "HEIF":
        pillow_heif.from_pillow(image or spot()).save(buffer, quality=90, **options)
    else:
        (image or spot()).save(buffer, "AVIF", quality=90, **options)
    return buffer.getvalue()


def many_scans(side: int = 600, scans: int = 1500) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = encoded(Image.new("RGB", (side, side), (180, 140, 120)), progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + b"\xff\xd9"


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, colours: int = 6, rows: int | None = None) -> bytes:
    """One colour: a few bytes that decode to width * height * 4. rows: fewer than the header
    declares.
    """

    packer, row = zlib.compressobj(9), b"\0" * (1 + width * {6: 4, 2: 3, 0: 1}[colours])
    packed = b"".join(packer.compress(row) for _ in range(height if rows is None else rows))
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", packed + packer.flush())
        + chunk(b"IEND", b"")
    )


def with_exif(format: str, block: bytes) -> bytes:
    """A good picture with this block, whatever it is."""
    if format in ("HEIF", "AVIF"):
        return heic(format=format, exif=b"Exif\0\0" + block)
    if format == "JPEG":
        data = encoded(spot())
        segment = b"Exif\0\0" + block
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    return encoded(spot(), format, exif=b"Exif\0\0" + block)
