"""What a comparison shows: outlines in one frame, and what was measured then and now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from accounts.models import User
from ml import reader
from screening.charts.template import percent
from screening.measuring import current, in_millimetres, mask_of, scale_of
from screening.models import Alert, Comparison, LesionImage
from screening.outline import Point, outline

OUTLINE_SIDE = 320
"""The longer side, in pixels, at which masks are outlined."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """power: of the magnification in it. unit: as written; digits: after the point."""

    name: str
    label: str
    power: int
    unit: str
    digits: int


MEASURES = (
    _Measure("area_px", "Area", 2, "px²", 0),
    _Measure("longest_diameter_px", "Longest diameter", 1, "px", 0),
    _Measure("shortest_diameter_px", "Shortest diameter", 1, "px", 0),
    _Measure("perimeter_px", "Length of the border", 1, "px", 0),
    _Measure("border_irregularity", "Irregularity of the border", 0, "", 2),
    _Measure("asymmetry_shape", "Asymmetry of shape", 0, "", 2),
    _Measure("asymmetry_colour", "Asymmetry of colour", 0, "ΔE", 1),
    _Measure("colour_variegation", "Variety of colour", 0, "ΔE", 1),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure in both images. change: as written. beyond: whether it differs by more than two
    images of an unchanged lesion mostly do; None where that is not known."""

    label: str
    before: str
    after: str
    change: str
    beyond: bool | None


def differences(comparison: Comparison) -> list[Difference]:
    """Nothing where one of the images is not measured.

    Sizes are in millimetres where both scales are known; else in pixels of the earlier image, if
    the images could be aligned; else they cannot be compared and are left out.
    """
    earlier, later = comparison.earlier, comparison.later
    measured = current(earlier), current(later)
    if measured[0] is None or measured[1] is None:
        return []
    before, after = measured[0].values, measured[1].values
    scales = scale_of(earlier), scale_of(later)
    limits = _limits()
    found = []
    for measure in MEASURES:
        if measure.power and scales[0] and scales[1]:
            name = measure.name.replace("_px", "_mm2" if measure.power == 2 else "_mm")
            then = in_millimetres(before, scales[0])[name]
            now = in_millimetres(after, scales[1])[name]
            unit = measure.unit.replace("px", "mm")
            found.append(_row(measure, float(then or 0), float(now or 0), unit, 1, limits))
        elif not measure.power or comparison.aligned:
            now = after[measure.name] * _size(comparison) ** measure.power
            digits = measure.digits
            found.append(_row(measure, before[measure.name], now, measure.unit, digits, limits))
    return found


def outline_of(image: LesionImage, user: User) -> list[Point]:
    """The border that stands, as far as ``user`` may see it: x and y as shares of the image's width
    and height."""
    scale = OUTLINE_SIDE / max(image.width, image.height)
    mask = mask_of(image, (round(image.height * scale), round(image.width * scale)), user)
    return [] if mask is None else outline(mask)


def corner_matrix(comparison: Comparison) -> list[float]:
    """a, b, c, d, e, f as canvas and SVG take them, from the later to the earlier image's pixels.

    There the first pixel's corner is 0, 0, in ``ml.register`` its middle.
    """
    (a, c, e), (b, d, f) = comparison.matrix
    return [a, b, c, d, e + 0.5 - 0.5 * (a + c), f + 0.5 - 0.5 * (b + d)]


def what_changed(alert: Alert) -> str:
    """The two values of an alert, as part of a sentence."""
    before, after = alert.before, alert.after
    if "p_malignant" in after:
        return (
            "chance of cancer or its precursor read as "
            f"{percent(after['p_malignant'])}, before as {percent(before['p_malignant'])}"
        )
    if "colour" in after:
        colour = after["colour"].replace("_", "-" if after["colour"] == "blue_grey" else " ")
        return (
            f"{colour} makes up {percent(after['colour_share'])} of it, "
            f"before {percent(before['colour_share'])}"
        )
    if "delta_e" in after:
        return f"one part of it changed in colour by {after['delta_e']:.0f} ΔE more than the rest"
    if "contrast" in after:
        return (
            "the fine pattern of one part of it grew stronger or weaker by a factor of "
            f"{after['contrast']:.1f} against the rest"
        )
    if "area_mm2" in after:
        mm = "\N{NO-BREAK SPACE}mm²"
        return f"it covers {after['area_mm2']:.1f}{mm}, before {before['area_mm2']:.1f}{mm}"
    return (
        f"it takes up {percent(after['area_share'])} of the earlier picture's frame, "
        f"before {percent(before['area_share'])}"
    )


def _size(comparison: Comparison) -> float:
    if not comparison.aligned:
        return 1.0
    return float(np.sqrt(abs(np.linalg.det(np.array(comparison.matrix)[:, :2]))))


def _limits() -> Mapping[str, Any]:
    """Of the current model's card: the limits of agreement are the measures', not a reading's."""
    found: Mapping[str, Any] = reader.card().get("repeatability", {}).get("measures", {})
    return found


def _row(
    measure: _Measure, then: float, now: float, unit: str, digits: int, limits: Mapping[str, Any]
) -> Difference:
    limit = limits.get(measure.name)
    is_ratio = measure.power > 0 or measure.name == "border_irregularity"
    apart = float(np.log(now / then)) if is_ratio and now > 0 and then > 0 else now - then
    change = (
        f"{100 * (now / then - 1):+.0f} %" if is_ratio and then else f"{now - then:+.{digits}f}"
    )
    return Difference(
        label=measure.label,
        before=_written(then, digits, unit),
        after=_written(now, digits, unit),
        change=change.replace("-", "\N{MINUS SIGN}"),
        beyond=None if limit is None else abs(apart) > limit["limit"],
    )


def _written(value: float, digits: int, unit: str) -> str:
    return f"{value:.{digits}f}\N{NO-BREAK SPACE}{unit}".strip()
