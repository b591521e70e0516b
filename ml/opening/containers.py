"""Pre-processing of picture files, for everything that must not be left to decoders.

Only what the pixels of a JPEG or PNG need is passed on: the first of several pictures, no metadata,
no comments, a limited number of scans. The checks need no decoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_SCANS = 40
"""Encoders write progressive JPEGs with about ten scans. Each costs a pass over all pixels."""

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _APP14, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_NO_FRAME = {0xC4, 0xC8, 0xCC}
_BASELINE = {0xC0, 0xC1}
_ICC = b"ICC_PROFILE\0"

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_NEEDED = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"iCCP", b"sRGB", b"gAMA", b"cHRM"}


class Broken(ValueError):
    """The file contradicts its own format."""


class Animated(ValueError):
    pass


class TooManyScans(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class Taken:
    """data: the input for the decoder. size: width, height from the header. exif: the block, or
    b"". is_baseline: for a JPEG, whether it does not need memory for all coefficients at once. key:
    the samples of the colour that means "transparent", of ``depth`` bits each; None if there is
    none.
    """

    data: bytes
    size: tuple[int, int]
    exif: bytes = b""
    is_baseline: bool = True
    key: tuple[int, ...] | None = None
    depth: int = 8


def jpeg(data: bytes) -> Taken:
    """The first picture in the file. Raises Broken, TooManyScans."""
    kept, at, scans = [b"\xff\xd8"], 2, 0
    size, exif, is_baseline = None, b"", True
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            break  # truncated: the decoder decides whether it is enough
        marker, at = data[found.start() + 1], found.end()
        if marker == _EOI:
            kept.append(b"\xff\xd9")
            break
        if marker in (_SOI, 0x01):
            continue
        end = at + int.from_bytes(data[at : at + 2], "big")
        if end < at + 2:
            raise Broken
        segment = data[at - 2 : end]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            if size is not None:
                raise Broken
            size = int.from_bytes(segment[7:9], "big"), int.from_bytes(segment[5:7], "big")
            is_baseline = marker in _BASELINE
        elif marker == _APP1 and not exif and segment[4:10] == b"Exif\0\0":
            exif = segment[4:]
        elif marker == _SOS:
            scans += 1
            if scans > MAX_SCANS:
                raise TooManyScans
            following = _MARKER.search(data, end)
            end = following.start() if following else len(data)
            segment = data[at - 2 : end]
        if _is_needed(marker, segment):
            kept.append(segment)
        at = end
    if size is None or not scans:
        raise Broken
    return Taken(b"".join(kept), size, exif, is_baseline)


def _is_needed(marker: int, segment: bytes) -> bool:
    if marker == _APP2:
        return segment.startswith(_ICC, 4)
    return not (_APP0 < marker < _APP14 or marker == 0xEF or marker == _COM)


def png(data: bytes) -> Taken:
    """Raises Broken, Animated. The decoder rejects truncated files."""
    kept, at, exif, frames = [_PNG_HEAD], len(_PNG_HEAD), b"", 1
    header, transparent, profiles = b"", b"", 0
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        content = data[at + 8 : end - 4] if kind not in (b"IDAT", b"fdAT") else b""
        if kind == b"IHDR":
            header = header or content
        elif kind == b"acTL":
            frames = int.from_bytes(content[:4], "big")
        elif kind == b"eXIf":
            exif = exif or content
        elif kind == b"tRNS":
            transparent = content
        elif kind == b"iCCP":
            profiles += 1
        is_again = kind == b"iCCP" and profiles > 1  # each would be unpacked
        is_needed = kind in _PNG_NEEDED and not is_again
        if is_needed or (kind == b"tRNS" and header[9:10] == b"\x03"):
            kept.append(data[at:end])
        if kind == b"IEND":
            break
        at = end
    if len(header) != 13:
        raise Broken
    if frames > 1:
        raise Animated
    size = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    depth, colours = header[8], {0: 1, 2: 3}.get(header[9], 0)
    key = None
    if colours and len(transparent) >= 2 * colours:
        samples = (transparent[2 * n : 2 * n + 2] for n in range(colours))
        key = tuple(int.from_bytes(sample, "big") for sample in samples)
    return Taken(b"".join(kept), size, exif, key=key, depth=depth)


def webp(data: bytes) -> Taken:
    """Raises Broken, Animated. Passed on whole: its decoder ignores metadata by default."""
    at, size, exif = 12, (0, 0), b""
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        head = data[at + 8 : at + 18]
        if kind == b"VP8X":
            if head[0] & 2:
                raise Animated
            size = 1 + _little(head[4:7]), 1 + _little(head[7:10])
        elif kind == b"VP8 " and size == (0, 0):
            size = _little(head[6:8]) & 0x3FFF, _little(head[8:10]) & 0x3FFF
        elif kind == b"VP8L" and size == (0, 0):
            bits = _little(head[1:5])
            size = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        elif kind == b"EXIF":
            exif = exif or data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    if not all(size):
        raise Broken
    return Taken(data, size, exif)


def _little(part: bytes) -> int:
    return int.from_bytes(part, "little")


def without_exif(data: bytes) -> tuple[bytes, bytes]:
    """A HEIF or AVIF file in which the decoder finds no EXIF item, and the bytes that may contain
    it.
    """
    at = 0
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"meta":
            end = at + length if length else len(data)
            meta = data[at:end]
            hidden = data[:at] + meta.replace(b"Exif", b"free") + data[end:]
            return hidden, data if b"Exif" in meta else b""
        if length < 8:
            break
        at += length
    return data, b""


def colours(data: bytes) -> tuple[int, int]:
    """The colour primaries and the transfer characteristics of a HEIF or AVIF file's main picture,
    as numbers of H.273; (2, 2), "unspecified", if it names none.
    """
    try:
        return _colours(data)
    except IndexError:  # cut off, or not as the format says
        return 2, 2


def _colours(data: bytes) -> tuple[int, int]:
    meta = next((box for kind, box in _boxes(data) if kind == b"meta"), b"")
    parts = dict(_boxes(meta[4:]))
    main, properties = parts.get(b"pitm", b""), dict(_boxes(parts.get(b"iprp", b"")))
    item = _big(main[4:6] if main[:1] == b"\0" else main[4:8])
    kept = list(_boxes(properties.get(b"ipco", b"")))
    for n in _associated(properties.get(b"ipma", b""), item):
        kind, content = kept[n - 1] if n else (b"", b"")
        if kind == b"colr" and content.startswith(b"nclx") and len(content) >= 10:
            return _big(content[4:6]), _big(content[6:8])
    return 2, 2


def _associated(ipma: bytes, item: int) -> list[int]:
    """The properties of an item, counted from 1."""
    if not ipma:
        return []
    of_item, of_property = 4 if ipma[0] else 2, 2 if ipma[3] & 1 else 1
    at = 8
    for _ in range(_big(ipma[4:8])):
        found, count = _big(ipma[at : at + of_item]), ipma[at + of_item]
        at += of_item + 1
        end = at + count * of_property
        if found == item:
            mask = 0x7FFF if of_property == 2 else 0x7F
            steps = range(at, end, of_property)
            return [_big(ipma[step : step + of_property]) & mask for step in steps]
        at = end
    return []


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each box's type and content."""
    at = 0
    while at + 8 <= len(data):
        length, kind, head = _big(data[at : at + 4]), data[at + 4 : at + 8], 8
        if length == 1:
            length, head = _big(data[at + 8 : at + 16]), 16
        end = at + length if length else len(data)
        if end < at + head:
            return
        yield kind, data[at + head : end]
        at = end


def _big(part: bytes) -> int:
    return int.from_bytes(part, "big")
