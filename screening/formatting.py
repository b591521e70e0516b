"""How numbers and dates are written everywhere, and how timestamps are parsed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime


def percent(share: float) -> str:
    """Whole per cent; "<1 %" and ">99 %" at the ends, where whole numbers would claim too much."""
    if share < 0.01:
        return "<1 %"
    if share > 0.99:
        return ">99 %"
    return f"{share * 100:.0f} %"


_QUOTED = re.compile("(\N{LEFT DOUBLE QUOTATION MARK}.*?\N{RIGHT DOUBLE QUOTATION MARK})")


def clinical(text: str) -> str:
    """A text for people as clinicians put it: a spot is a lesion. What is quoted stays: it is
    somebody's own name for something, or a button.
    """
    parts = _QUOTED.split(text)
    parts[::2] = [re.sub(r"\b([Ss])pot(s?)\b", _lesion, part) for part in parts[::2]]
    return "".join(parts)


def _lesion(found: re.Match[str]) -> str:
    return f"{'L' if found[1] == 'S' else 'l'}esion{found[2]}"


def day(value: date) -> str:
    """12 Mar 2026, the format used everywhere."""
    return f"{value.day} {value:%b %Y}"


def moment(text: str) -> datetime:
    """Parse an ISO 8601 timestamp, and return it in UTC. Raises ValueError if it is not one, has no
    time zone, or is outside the years that UTC can express.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError(text) from None
