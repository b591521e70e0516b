"""One lesion over time: its readings and what people recorded."""

from __future__ import annotations

from datetime import date
from typing import Any

from screening.charts import course
from screening.charts.template import MUTED, Chart, figure
from screening.formatting import day, percent
from screening.records.timeline import Event, Told

READING = 210
GAP = 34
"""Pixels: of the panel with the probabilities, and of the title above it."""


def reading_over_time(readings: list[Told], events: list[Event]) -> Chart:
    """The readings by day of capture. readings: at least one.

    A line joins readings of one model version only: between versions the scale changes, not the
    skin.
    """
    lanes = ["Picture", *map(course.kind_word, course.kinds_of(events))]
    assessed = [one for one in readings if one.p_malignant is not None]
    height = course.LANE * len(lanes) + (READING + GAP if assessed else 0)
    top = READING / height if assessed else 0.0
    data = [_outcomes(readings), *course.event_lanes(events, "y2", first=1)]
    data += [_trace(run) for run in course.runs(assessed, lambda one: one.model_version)]
    layout = course.version_marks([(one.image.captured_on, one.model_version) for one in readings])
    layout["shapes"] += course.event_lines(events)
    if assessed:
        layout["annotations"].append(course.panel_title("Chance of cancer or its precursor", top))
        layout["yaxis"] = _share_axis(assessed) | {"domain": [0, top]}
    return Chart(
        key="over-time",
        summary=_summary(readings, assessed, events),
        figure=figure(
            data,
            height=height + 90,
            margin={"l": 8, "r": 8, "t": 32, "b": 8},
            xaxis=course.time_axis(_days(readings, events)),
            yaxis2=course.lane_axis(lanes, (top + GAP / height if assessed else 0, 1)),
            hovermode="closest",
            **layout,
        ),
        head=("Day", "What", "Finding", "Chance of cancer or its precursor", "Model"),
        rows=_rows(readings, events),
    )


def _outcomes(readings: list[Told]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "Picture",
        "yaxis": "y2",
        "x": [one.image.captured_on.isoformat() for one in readings],
        "y": [0] * len(readings),
        "marker": {
            "size": 13,
            "color": [course.outcome_colour(one.outcome) for one in readings],
            "symbol": [course.outcome_symbol(one.outcome) for one in readings],
        },
        "customdata": [[one.image.day_label, course.outcome_word(one.outcome)] for one in readings],
        "hovertemplate": "%{customdata[0]}<br><b>%{customdata[1]}</b><extra></extra>",
    }


def _trace(run: list[Told]) -> dict[str, Any]:
    version = run[0].model_version
    return {
        "type": "scatter",
        "mode": "lines+markers+text",
        "name": f"Model {version}",
        "x": [one.image.captured_on.isoformat() for one in run],
        "y": [round(one.p_malignant or 0, 4) for one in run],
        "text": [percent(one.p_malignant or 0) for one in run],
        "textposition": "top center",
        "cliponaxis": False,
        "line": {"color": MUTED, "width": 1.5},
        "marker": {
            "size": 13,
            "color": [course.outcome_colour(one.outcome) for one in run],
            "symbol": [course.outcome_symbol(one.outcome) for one in run],
        },
        "customdata": [[one.image.day_label, course.outcome_word(one.outcome)] for one in run],
        "hovertemplate": "%{customdata[0]}<br><b>%{text}</b>, %{customdata[1]}"
        f"<extra>Model {version}</extra>",
    }


def _share_axis(assessed: list[Told]) -> dict[str, Any]:
    """The axis from 0, and long enough that a few points do not look like a leap."""
    highest = max((one.p_malignant or 0 for one in assessed), default=0)
    top = next(limit for limit in (0.25, 0.5, 1.0) if highest <= 0.9 * limit or limit == 1)
    return {"range": [-0.04 * top, 1.12 * top], "tickformat": ".0%", "nticks": 5}


def _days(readings: list[Told], events: list[Event]) -> list[date]:
    return [*(one.image.captured_on for one in readings), *(event.on for event in events)]


def _rows(readings: list[Told], events: list[Event]) -> list[tuple[str, ...]]:
    """Images and events in one table, latest first; on the same day, events above images."""
    rows = [
        (
            one.image.captured_on,
            0,
            (
                "Picture",
                course.outcome_word(one.outcome),
                "" if one.p_malignant is None else percent(one.p_malignant),
                one.model_version,
            ),
        )
        for one in readings
    ]
    rows += [(event.on, 1, (course.kind_word(event.kind), event.words, "", "")) for event in events]
    rows.sort(key=lambda row: row[:2], reverse=True)
    return [(day(on), *cells) for on, _, cells in rows]


def _summary(readings: list[Told], assessed: list[Told], events: list[Event]) -> str:
    images = f"{len(readings)} image{'s' if len(readings) > 1 else ''}"
    text = f"What was told of {images}, with what people recorded."
    if assessed:
        last = assessed[-1]
        text += (
            " Calibrated chance of cancer or its precursor; the last, of "
            f"{last.image.day_label}: {percent(last.p_malignant or 0)}."
        )
    if len({one.model_version for one in assessed}) > 1:
        text += " Readings by different model versions are not joined by a line."
    return text
