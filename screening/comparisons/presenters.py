"""The content of a comparison: outlines in one frame, and the readings and measurements of both
images.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from accounts.models import User
from ml import reader
from ml.types import REGISTRATION_VERSION
from screening.errors import Unreadable
from screening.formatting import percent
from screening.measurements.contours import Point, outline
from screening.measurements.masks import mask_within
from screening.measurements.millimetres import in_millimetres, scale_of
from screening.measurements.presenters import COLOUR_WORDS, colours_present
from screening.measurements.queries import (
    NotOpened,
    current,
    last_tried,
    outlines_of,
    repeatability,
)
from screening.models import Alert, Comparison, LesionImage, Outcome, Prediction

logger = logging.getLogger(__name__)

OUTLINE_SIDE = 320
"""The longer side, in pixels, at which masks are outlined."""
NOT_YET = "it needs a reading that found the spot, or an outline drawn by hand."
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class _Measure:
    """power: the power of the magnification that it scales with. unit: as written; digits: after
    the point.
    """

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
    _Measure("ita_degrees", "Tone of the skin around (ITA)", 0, "°", 0),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure in both images. is_ratio: whether it is shown in per cent. beyond: whether the
    difference exceeds that of most pairs of images of an unchanged lesion; None if unknown.
    """

    name: str
    label: str
    then: float
    now: float
    unit: str
    digits: int
    is_ratio: bool
    beyond: bool | None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of changes, as written. beyond: as in Difference; is_judged: False where
    that does not apply.
    """

    label: str
    before: str
    after: str
    change: str
    beyond: bool | None
    is_judged: bool = True


def differences(comparison: Comparison) -> list[Difference]:
    """The differences; empty if one of the images has no measurements, or if an outline was drawn
    since: what is measured now is not what was compared.

    Sizes are in millimetres where both scales are known; else in pixels of the earlier image, if
    the images could be aligned; else they are not comparable and are left out.
    """
    earlier, later = comparison.earlier, comparison.later
    measured = current(earlier), current(later)
    if measured[0] is None or measured[1] is None:
        return []
    if comparison.outlines != outlines_of(earlier, later):
        return []
    before, after = measured[0].values, measured[1].values
    scales = scale_of(earlier), scale_of(later)
    # Pictures that cannot be aligned may show two spots, so no difference is called small.
    known = repeatability(reader.DEFAULT_VERSION) if comparison.aligned else {}
    limits = known.get("measures", {})
    found = []
    for measure in MEASURES:
        then, now = before[measure.name], after[measure.name]
        if then is None or now is None:
            continue
        if measure.power and scales[0] and scales[1]:
            name = measure.name.replace("_px", "_mm2" if measure.power == 2 else "_mm")
            then, now = (
                in_millimetres(values, scale)[name] or 0.0
                for values, scale in zip((before, after), scales, strict=True)
            )
            unit = measure.unit.replace("px", "mm")
            found.append(_difference(measure, name, then, now, unit, 1, limits))
        elif not measure.power or comparison.aligned:
            now *= _size(comparison) ** measure.power
            unit, digits = measure.unit, measure.digits
            found.append(_difference(measure, measure.name, then, now, unit, digits, limits))
    return found


def rows(comparison: Comparison, readings: Mapping[Any, Prediction | None]) -> list[Row]:
    """All changes in words: the reading, the measurements, the colours. readings: from
    ``readings_of`` for the two images.
    """
    measured = [_row(difference) for difference in differences(comparison)]
    return [*_read(comparison, readings), *measured, *_colours(comparison)]


def unmeasured(comparison: Comparison) -> list[str]:
    """Of each image without measurements, its day and why."""
    tried = {image: last_tried(image) for image in (comparison.earlier, comparison.later)}
    return [
        f"{image.day_label}: {last.failure if last else NOT_YET}"
        for image, last in tried.items()
        if last is None or last.failure
    ]


def readings_of(images: list[LesionImage], user: User) -> dict[Any, Prediction | None]:
    """By image, the counting reading with its mask, if it found the image assessable and ``user``
    may see it. One query.
    """
    readings = Prediction.objects.disclosed_to(user).counting().filter(image__in=images)
    assessed = readings.exclude(outcome=Outcome.NOT_ASSESSABLE).select_related("maps")
    found: dict[Any, Prediction | None] = {image.pk: None for image in images}
    found |= {one.image_id: one for one in assessed.defer("maps__evidence", "maps__features")}
    return found


def outline_of(image: LesionImage, reading: Prediction | None) -> list[Point] | None:
    """The current border, x and y as shares of the image's width and height; None if it cannot be
    opened. reading: the image's, from ``readings_of``.
    """
    scale = OUTLINE_SIDE / max(image.width, image.height)
    masked = reading if hasattr(reading, "maps") else None
    size = round(image.height * scale), round(image.width * scale)
    try:
        mask = mask_within(image, masked, size)
    except (NotOpened, Unreadable) as error:
        logger.warning("image %s: its outline cannot be opened: %s", image.pk, error)
        return None
    return [] if mask is None else outline(mask)


def corner_matrix(comparison: Comparison) -> list[float]:
    """a, b, c, d, e, f as canvas and SVG take them, from the later to the earlier image's pixels.

    There 0, 0 is the corner of the first pixel; in ``ml.lesion.register`` it is its centre.
    """
    (a, c, e), (b, d, f) = comparison.matrix
    return [a, b, c, d, e + 0.5 - 0.5 * (a + c), f + 0.5 - 0.5 * (b + d)]


def what_changed(alert: Alert) -> str:
    """The two values behind an alert, as part of a sentence."""
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


@dataclass(frozen=True, slots=True)
class SinceLast:
    """What changed from the previous picture to the newest. title: in a line; text: a sentence, or
    empty. is_open: a change was found that nobody has closed.
    """

    title: str
    text: str = ""
    is_open: bool = False


def since_last(images: Sequence[LesionImage], alerts: Sequence[Alert]) -> SinceLast:
    """images: of ``records.queries.timeline``, at least one; alerts: of the lesion, as the reader
    may see them. One query, where no alert says that it changed."""
    others = [image for image in images if image.sha256 != images[0].sha256]
    if not others:
        return SinceLast("One picture so far", "Change shows only with a second one.")
    return since(others[0], images[0], alerts)


def since(before: LesionImage, newest: LesionImage, alerts: Sequence[Alert]) -> SinceLast:
    """Like ``since_last``, for any two images of one lesion."""
    if newest.is_withheld or before.is_withheld:
        return SinceLast("Your conclusion comes first", "What changed is shown after it.")
    day = before.day_label
    found = [
        alert
        for alert in alerts
        if alert.later_id == newest.pk
        and alert.earlier_id == before.pk
        and alert.replaced_at is None
    ]
    if found:
        rules = [str(alert.get_rule_display()) for alert in found]
        is_open = any(alert.is_open for alert in found)
        return SinceLast(f"Changed since {day}", f"{_listed(rules)}.", is_open)
    pairs = Comparison.objects.standing().filter(algorithm_version=REGISTRATION_VERSION)
    comparison = pairs.filter(earlier=before, later=newest).first()
    if comparison is None:
        text = "The two pictures have not been compared yet."
        return SinceLast(f"Not compared with {day}", text)
    if not comparison.aligned:
        text = "The two pictures do not fit over each other. Is it the same spot?"
        return SinceLast(f"Not compared with {day}", text)
    if current(newest) is None or current(before) is None:
        text = "The spot could not be measured in both pictures. Compare them by eye."
        return SinceLast(f"Not measured since {day}", text)
    return SinceLast(
        f"No change found since {day}",
        "The software can miss a change. If you see one, show the spot to a doctor.",
    )


def _listed(rules: Sequence[str]) -> str:
    """The changes as one sentence: "Grew fast; a new colour"."""
    first, *rest = dict.fromkeys(rules)
    return "; ".join([first, *(rule[0].lower() + rule[1:] for rule in rest)])


def _size(comparison: Comparison) -> float:
    if not comparison.aligned:
        return 1.0
    return float(np.sqrt(abs(np.linalg.det(np.array(comparison.matrix)[:, :2]))))


def _difference(
    measure: _Measure,
    name: str,
    then: float,
    now: float,
    unit: str,
    digits: int,
    limits: Mapping[str, Any],
) -> Difference:
    is_ratio = measure.power > 0 or measure.name == "border_irregularity"
    apart = float(np.log(now / then)) if is_ratio and now > 0 and then > 0 else now - then
    limit = limits.get(measure.name)
    beyond = None if limit is None else abs(apart) > limit["limit"]
    return Difference(name, measure.label, then, now, unit, digits, is_ratio, beyond)


def _row(one: Difference) -> Row:
    change = (
        f"{_signed(100 * (one.now / one.then - 1))} %"
        if one.is_ratio and one.then
        else _signed(one.now - one.then, one.digits)
    )
    return Row(
        one.label,
        _written(one.then, one.digits, one.unit),
        _written(one.now, one.digits, one.unit),
        change,
        one.beyond,
    )


def _read(comparison: Comparison, readings: Mapping[Any, Prediction | None]) -> list[Row]:
    """Readings are compared only if they are by the same model version."""
    then, now = readings[comparison.earlier.pk], readings[comparison.later.pk]
    if then is None or now is None:
        return []
    label = "Chance of cancer or its precursor, as read"
    told = percent(then.p_malignant or 0), percent(now.p_malignant or 0)
    if then.model_version != now.model_version:
        return [Row(label, *told, "read by different versions", None, False)]
    known = repeatability(now.model_version) if comparison.aligned else {}
    limit = known.get("limits", {}).get("risk")
    apart = _logit(now.p_malignant or 0) - _logit(then.p_malignant or 0)
    points = _signed(100 * ((now.p_malignant or 0) - (then.p_malignant or 0)))
    change = f"{points} point{'' if points[1:] == '1' else 's'}"
    return [Row(label, *told, change, None if limit is None else abs(apart) > limit)]


def _colours(comparison: Comparison) -> list[Row]:
    measured = current(comparison.earlier), current(comparison.later)
    if measured[0] is None or measured[1] is None:
        return []
    then, now = (colours_present(one.values) for one in measured if one)
    gained = [f"{COLOUR_WORDS[code]} is new" for code in now if code not in then]
    lost = [f"{COLOUR_WORDS[code]} is gone" for code in then if code not in now]
    words = [", ".join(COLOUR_WORDS[code] for code in codes) or "none" for codes in (then, now)]
    change = ", ".join([*gained, *lost]) or "the same"
    return [Row("Dermatoscopic colours", words[0], words[1], change, None, False)]


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-4), 1 - 1e-4)
    return float(np.log(clipped / (1 - clipped)))


def _signed(value: float, digits: int = 0) -> str:
    text = f"{value:+.{digits}f}"
    return text.replace("-", MINUS) if float(text) else "0"


def _written(value: float, digits: int, unit: str) -> str:
    gap = "" if unit == "°" else "\N{NO-BREAK SPACE}"
    return f"{value:.{digits}f}{gap}{unit}".strip()
