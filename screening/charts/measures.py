"""Measurements of one lesion over time: a small chart for each measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from screening.charts import course
from screening.charts.template import MUTED, Chart, figure
from screening.formatting import percent
from screening.measurements.presenters import COLOUR_WORDS, colours_present
from screening.records.timeline import Event, Measured

PANEL = 92
GAP = 34
"""Pixels: of one measure, and of the title above it."""


@dataclass(frozen=True, slots=True)
class _Panel:
    """One measure: its name, its value in an image, its notation, its minimum, and Plotly's format
    for the axis.
    """

    label: str
    value: Callable[[Measured], float]
    written: Callable[[float], str]
    least: float = 0.0
    ticks: str = ""


def measures_over_time(measured: list[Measured], events: list[Event]) -> Chart:
    """measured: at least one, by day of capture. One small chart per measure, stacked.

    A line joins measurements within outlines of one kind: by one model version, or by hand.
    """
    panels = _panels(measured)
    kinds = course.kinds_of(events)
    lanes = course.LANE * len(kinds)
    height = lanes + (PANEL + GAP) * len(panels)
    data: list[dict[str, Any]] = course.event_lanes(events, "y99")
    axes: dict[str, Any] = {}
    layout = course.version_marks([(one.image.captured_on, one.model_version) for one in measured])
    layout["shapes"] += course.event_lines(events)
    for number, panel in enumerate(panels):
        top = 1 - (lanes + GAP + number * (PANEL + GAP)) / height
        domain = [max(top - PANEL / height, 0), top]
        name = "y" if number == 0 else f"y{number + 1}"
        axes["yaxis" if number == 0 else f"yaxis{number + 1}"] = _panel_axis(
            panel, measured, domain
        )
        layout["annotations"].append(course.panel_title(panel.label, top))
        data += [
            _measure_trace(panel, run, name)
            for run in course.runs(measured, lambda one: one.within)
        ]
    if kinds:
        axes["yaxis99"] = course.lane_axis(
            list(map(course.kind_word, kinds)), (1 - lanes / height, 1)
        )
    return Chart(
        key="measures-over-time",
        summary=_measures_summary(measured),
        figure=figure(
            data,
            height=height + 60,
            xaxis=course.time_axis(
                [*(one.image.captured_on for one in measured), *(event.on for event in events)]
            ),
            hovermode="closest",
            **axes,
            **layout,
        ),
        head=("Taken on", *(panel.label for panel in panels), "Colours", "Within the outline"),
        rows=[
            (
                one.image.day_label,
                *(panel.written(panel.value(one)) for panel in panels),
                ", ".join(COLOUR_WORDS[code] for code in colours_present(one.values)) or "none",
                one.within,
            )
            for one in reversed(measured)
        ],
    )


def _panels(measured: list[Measured]) -> list[_Panel]:
    """Whether to use millimetres: only if every image has a scale, because one axis cannot show
    both units.
    """
    scaled = all(one.mm_per_pixel is not None for one in measured)
    mm = "\N{NO-BREAK SPACE}mm"
    sizes = (
        [
            _Panel("Area", lambda one: one.values["area_px"] * _mm(one) ** 2, _in(f"{mm}²", 1)),
            _Panel(
                "Longest diameter",
                lambda one: one.values["longest_diameter_px"] * _mm(one),
                _in(mm, 1),
            ),
        ]
        if scaled
        else [
            _Panel(
                "Area, of the picture", lambda one: one.values["area_share"], percent, ticks=".0%"
            ),
            _Panel(
                "Longest diameter, of the picture's width",
                lambda one: one.values["longest_diameter_px"] / one.image.width,
                percent,
                ticks=".0%",
            ),
        ]
    )
    delta = _in("\N{NO-BREAK SPACE}ΔE", 1)
    return [
        *sizes,
        _Panel("Asymmetry of shape", lambda one: one.values["asymmetry_shape"], _in("", 2)),
        _Panel("Asymmetry of colour", lambda one: one.values["asymmetry_colour"], delta),
        _Panel(
            "Irregularity of the border, 1 for a circle",
            lambda one: one.values["border_irregularity"],
            _in("", 2),
            least=1.0,
        ),
        _Panel("Variety of colour", lambda one: one.values["colour_variegation"], delta),
    ]


def _mm(one: Measured) -> float:
    return one.mm_per_pixel or 0.0


def _in(unit: str, digits: int) -> Callable[[float], str]:
    return lambda value: f"{value:.{digits}f}{unit}"


def _measure_trace(panel: _Panel, run: list[Measured], axis: str) -> dict[str, Any]:
    values = [panel.value(one) for one in run]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": panel.label,
        "yaxis": axis,
        "x": [one.image.captured_on.isoformat() for one in run],
        "y": [round(value, 5) for value in values],
        "line": {"color": MUTED, "width": 1.5},
        "marker": {"size": 9, "symbol": "circle" if run[0].model_version else "square"},
        "cliponaxis": False,
        "customdata": [
            [one.image.day_label, panel.written(value)]
            for one, value in zip(run, values, strict=True)
        ],
        "hovertemplate": "%{customdata[0]}<br><b>%{customdata[1]}</b>"
        f"<extra>Within the outline: {run[0].within}</extra>",
    }


def _panel_axis(panel: _Panel, measured: list[Measured], domain: list[float]) -> dict[str, Any]:
    """The axis from the minimum, so that a small change looks small."""
    highest = max(panel.value(one) - panel.least for one in measured)
    top = panel.least + 1.15 * max(highest, 0.1 if panel.least else 1e-6)
    return {"range": [panel.least, top], "nticks": 3, "tickformat": panel.ticks, "domain": domain}


def _measures_summary(measured: list[Measured]) -> str:
    text = f"Size, shape and colour as measured in {len(measured)} of the images."
    if any(one.mm_per_pixel is None for one in measured):
        text += (
            " Sizes are shares of the picture, as not every picture has a scale: they compare only "
            "pictures taken with one device at one distance."
        )
    if len({one.within for one in measured}) > 1:
        text += " What was measured within outlines of different kinds is not joined by a line."
    return text
