"""The three properties read from a picture's EXIF block: orientation, time and camera.

Our own parser, because cameras, editors and attackers write invalid blocks: it takes each value
that is readable, ignores the rest and never raises. Source: CIPA DC-008 (EXIF 2.32) and TIFF 6.0,
section 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time

_MAKE, _MODEL, _ORIENTATION, _EXIF_IFD = 0x010F, 0x0110, 0x0112, 0x8769
_DATE_TIME_ORIGINAL = 0x9003
_ASCII, _SHORT, _LONG = 2, 3, 4
_LONGEST = 200
"""The maximum number of bytes of a text."""

_DAY = re.compile(r"(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)")
_HOUR = re.compile(r"[ T](\d\d):(\d\d)(?::(\d\d))?")
_HEADER = re.compile(rb"II\*\0\x08\0\0\0|MM\0\*\0\0\0\x08")


@dataclass(frozen=True, slots=True)
class Exif:
    """orientation: 1 to 8, as in EXIF; 1 is upright. taken_on, taken_at: local time of the camera
    when the picture was taken (not the file's). camera: maker and model, or "". no_day: the text
    of a day that the calendar does not have.
    """

    orientation: int = 1
    taken_on: date | None = None
    taken_at: time | None = None
    camera: str = ""
    no_day: str = ""


def read(block: bytes) -> Exif:
    """Parse a block: TIFF, perhaps after the six bytes that JPEG puts in front."""
    block = block.removeprefix(b"Exif\0\0")
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return Exif()
    is_little = block.startswith(b"II")
    start = int.from_bytes(block[4:8], "little" if is_little else "big")
    first = _Directory(block, is_little, start)
    second = _Directory(block, is_little, first.number(_EXIF_IFD))
    orientation = first.number(_ORIENTATION)
    told = second.text(_DATE_TIME_ORIGINAL)
    return Exif(
        orientation=orientation if 1 <= orientation <= 8 else 1,
        taken_on=_day(told),
        no_day=_no_day(told),
        taken_at=_hour(told),
        camera=_printable(f"{first.text(_MAKE)} {first.text(_MODEL)}"),
    )


def find(data: bytes) -> bytes:
    """The data from where an EXIF block seems to start, in a container that is not parsed; or
    b"".
    """
    found = _HEADER.search(data)
    return data[found.start() :] if found else b""


class _Directory:
    """An image file directory: tag -> the position of its twelve bytes."""

    def __init__(self, block: bytes, is_little: bool, start: int) -> None:
        self._block, self._is_little = block, is_little
        self._entries: dict[int, int] = {}
        if start < 8:
            return
        for n in range(self._integer(start, 2)):
            at = start + 2 + 12 * n
            if at + 12 > len(block):
                break
            self._entries.setdefault(self._integer(at, 2), at)

    def number(self, tag: int) -> int:
        """0 if there is none."""
        at = self._entries.get(tag)
        if at is None:
            return 0
        width = {_SHORT: 2, _LONG: 4}.get(self._integer(at + 2, 2), 0)
        return self._integer(at + 8, width)

    def text(self, tag: int) -> str:
        at = self._entries.get(tag)
        if at is None or self._integer(at + 2, 2) != _ASCII:
            return ""
        length = self._integer(at + 4, 4)
        start = at + 8 if length <= 4 else self._integer(at + 8, 4)
        told = self._block[start : start + min(length, _LONGEST)]
        return told.partition(b"\0")[0].decode("utf-8", "replace").strip()

    def _integer(self, at: int, width: int) -> int:
        part = self._block[at : at + width]
        return int.from_bytes(part, "little" if self._is_little else "big")


def _day(text: str) -> date | None:
    found = _DAY.match(text)
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:  # zeros, where the camera's clock was never set
        return None


def _no_day(text: str) -> str:
    """Zeros are how a camera writes that its clock was never set: no day is given."""
    found = _DAY.match(text)
    return found[0] if found and not _day(text) and found[0].strip("0:-/.") else ""


def _hour(text: str) -> time | None:
    found = _HOUR.search(text)
    try:
        return time(int(found[1]), int(found[2]), int(found[3] or 0)) if found else None
    except ValueError:
        return None


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable()).strip()[:120]
