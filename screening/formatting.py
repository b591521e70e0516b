"""How numbers and dates are written everywhere."""

from __future__ import annotations

from datetime import date


def percent(share: float) -> str:
    """Whole per cent; "<1 %" and ">99 %" at the ends, where whole numbers would claim too much."""
    if share < 0.01:
        return "<1 %"
    if share > 0.99:
        return ">99 %"
    return f"{share * 100:.0f} %"


def day(value: date) -> str:
    """12 Mar 2026, the format used everywhere."""
    return f"{value.day} {value:%b %Y}"
