"""The measurements of one image, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml.lesion.skin import band
from screening.formatting import percent
from screening.measurements.millimetres import in_millimetres, scale_of
from screening.measurements.queries import LENGTHS, current, last_tried
from screening.models import LesionImage, Measurement

LENGTH_LABELS = dict(
    zip(LENGTHS, ("Longest diameter", "Shortest diameter", "Length of the border"), strict=True)
)
COLOUR_WORDS = {
    "white": "white",
    "red": "red",
    "light_brown": "light brown",
    "dark_brown": "dark brown",
    "blue_grey": "blue-grey",
    "black": "black",
}
PRESENT = 0.05
"""Equal to ``ml.lesion.colours.PRESENT``, whose import would load OpenCV with every page."""


@dataclass(frozen=True, slots=True)
class Figure:
    label: str
    value: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """figures: label, value and meaning of each. colours: code, word and share of each colour
    present. measurement: their source. failure: why there are none.
    """

    figures: list[Figure]
    colours: list[tuple[str, str, str]]
    measurement: Measurement | None
    has_scale: bool
    is_cut_off: bool
    failure: str = ""


def measured_in(image: LesionImage) -> Measured | None:
    """The measurements in words; None while nothing has been measured."""
    found = current(image)
    if found is None:
        failed = last_tried(image)
        return Measured([], [], None, False, False, failed.failure) if failed else None
    values, scale = found.values, scale_of(image)
    return Measured(
        figures=[*_sizes(values, scale, image.width), *_shapes(values), *_skin(values)],
        colours=[
            (code, COLOUR_WORDS[code], percent(values["colours"][code]))
            for code in colours_present(values)
        ],
        measurement=found,
        has_scale=scale is not None,
        is_cut_off=values["touches_border"],
    )


def colours_present(values: dict[str, Any]) -> list[str]:
    """Codes of the dermatoscopic colours present, in the order of COLOUR_WORDS."""
    return [code for code in COLOUR_WORDS if values["colours"][code] >= PRESENT]


def _sizes(values: dict[str, Any], scale: float | None, width: int) -> list[Figure]:
    """Sizes in millimetres or, without a scale, in pixels beside the size of the picture."""
    share = f"{percent(values['area_share'])} of the picture"
    if scale is None:
        area = f"{values['area_px']:.0f}\N{NO-BREAK SPACE}pixels"
        lengths = {name: f"{values[name]:.0f}\N{NO-BREAK SPACE}pixels" for name in LENGTHS}
    else:
        sizes = in_millimetres(values, scale)
        area = f"{sizes['area_mm2']:.1f}\N{NO-BREAK SPACE}mm²"
        lengths = {
            name: f"{sizes[name.replace('_px', '_mm')]:.1f}\N{NO-BREAK SPACE}mm" for name in LENGTHS
        }
    return [
        Figure("Area", area, share),
        *(
            Figure(label, lengths[name], f"{100 * values[name] / width:.0f} % of its width")
            for name, label in LENGTH_LABELS.items()
        ),
    ]


def _skin(values: dict[str, Any]) -> list[Figure]:
    angle = values["ita_degrees"]
    if angle is None:
        return []
    words = f"{band(angle)}, by the individual typology angle; the light of the picture counts too"
    return [
        Figure("Tone of the skin around", f"{angle:.0f}°".replace("-", "\N{MINUS SIGN}"), words)
    ]


def _shapes(values: dict[str, Any]) -> list[Figure]:
    return [
        Figure(
            "Asymmetry of shape",
            f"{values['asymmetry_shape']:.2f}",
            "0 folds onto itself, 1 not at all",
        ),
        Figure(
            "Asymmetry of colour",
            f"{values['asymmetry_colour']:.1f}\N{NO-BREAK SPACE}ΔE",
            "mean difference of the folded halves; 2 is just seen",
        ),
        Figure(
            "Irregularity of the border",
            f"{values['border_irregularity']:.2f}",
            "1 is a circle",
        ),
        Figure(
            "Variety of colour",
            f"{values['colour_variegation']:.1f}\N{NO-BREAK SPACE}ΔE",
            "spread about its mean colour",
        ),
    ]
