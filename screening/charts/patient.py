"""All lesions of a patient over time, stacked."""

from __future__ import annotations

import textwrap
from html import escape
from typing import Any

from screening.charts import course
from screening.charts.template import LINE, Chart, figure
from screening.formatting import day, percent
from screening.models import Lesion
from screening.records.timeline import Event, Told

ROW = 46
"""Pixels of one lesion."""
ABOVE = 0.32
"""How far above its images a lesion's events are drawn, as a share of ROW."""


def lesions_over_time(lesions: list[Lesion], readings: list[Told], events: list[Event]) -> Chart:
    """lesions: at least one with an image; the first on top."""
    places = {lesion.pk: len(lesions) - 1 - number for number, lesion in enumerate(lesions)}
    height = ROW * len(lesions)
    images = f"{len(readings)} picture{'s' if len(readings) > 1 else ''}"
    spots = f"{len(lesions)} spot{'s' if len(lesions) > 1 else ''}"
    return Chart(
        key="lesions-over-time",
        summary=f"What was told of {images} of {spots}, each on a line of its own, "
        "with changes and what people recorded above the line.",
        figure=figure(
            [
                _line(lesions, readings, places),
                *_images(readings, places),
                *_events(events, places),
            ],
            height=height + 110,
            showlegend=True,
            legend={
                "orientation": "h",
                "x": 0,
                "y": 1,
                "yanchor": "bottom",
                "itemclick": False,
                "itemdoubleclick": False,
            },
            xaxis=course.time_axis(
                [*(one.image.captured_on for one in readings), *(one.on for one in events)]
            ),
            yaxis={
                "range": [-0.6, len(lesions) - 0.3],
                "tickvals": list(places.values()),
                "ticktext": [_name(lesion) for lesion in lesions],
                "ticks": "",
                "showgrid": False,
                "zeroline": False,
            },
            hovermode="closest",
        ),
        head=("Spot", "Day", "What", "Finding", "Chance of cancer or its precursor", "Model"),
        rows=_rows(lesions, readings, events),
    )


def _name(lesion: Lesion) -> str:
    """Broken into lines short enough to leave room for the chart on a phone."""
    lines = textwrap.wrap(textwrap.shorten(lesion.label, 30, placeholder="…"), 15)
    return "<br>".join(escape(line, quote=False) for line in lines)


def _line(lesions: list[Lesion], readings: list[Told], places: dict[Any, int]) -> dict[str, Any]:
    """From a lesion's first image to its last: how long it has been followed."""
    days: list[str | None] = []
    heights: list[int | None] = []
    for lesion in lesions:
        own = [one.image.captured_on for one in readings if one.image.lesion_id == lesion.pk]
        if own:
            days += [min(own).isoformat(), max(own).isoformat(), None]
            heights += [places[lesion.pk], places[lesion.pk], None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": days,
        "y": heights,
        "line": {"color": LINE, "width": 2},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _images(readings: list[Told], places: dict[Any, int]) -> list[dict[str, Any]]:
    found = []
    for outcome in dict.fromkeys(("urgent", "see_doctor", "monitor", "not_assessable", "")):
        here = [one for one in readings if one.outcome == outcome]
        if not here:
            continue
        found.append(
            _markers(
                course.outcome_word(outcome),
                {"symbol": course.outcome_symbol(outcome), "color": course.outcome_colour(outcome)},
                [one.image.captured_on.isoformat() for one in here],
                [places[one.image.lesion_id] for one in here],
                [[one.image.day_label, _chance(one)] for one in here],
            )
        )
    return found


def _events(events: list[Event], places: dict[Any, int]) -> list[dict[str, Any]]:
    found = []
    for kind in course.kinds_of(events):
        here = [event for event in events if event.kind == kind]
        name, symbol, colour = course.EVENTS[kind]
        found.append(
            _markers(
                name,
                {"symbol": symbol, "color": colour},
                [event.on.isoformat() for event in here],
                [places[event.lesion_id] + ABOVE for event in here],
                [[day(event.on), event.words] for event in here],
            )
        )
    return found


def _markers(
    name: str, marker: dict[str, Any], days: list[str], heights: list[Any], words: list[list[str]]
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": days,
        "y": heights,
        "marker": {"size": 12, **marker},
        "customdata": words,
        "hovertemplate": f"%{{customdata[0]}}<br><b>{name}</b> %{{customdata[1]}}<extra></extra>",
    }


def _chance(one: Told) -> str:
    return "" if one.p_malignant is None else percent(one.p_malignant)


def _rows(
    lesions: list[Lesion], readings: list[Told], events: list[Event]
) -> list[tuple[str, ...]]:
    """By lesion, latest first."""
    rows: list[tuple[str, ...]] = []
    for lesion in lesions:
        own = [
            (
                one.image.captured_on,
                0,
                ("Picture", course.outcome_word(one.outcome), _chance(one), one.model_version),
            )
            for one in readings
            if one.image.lesion_id == lesion.pk
        ] + [
            (event.on, 1, (course.kind_word(event.kind), event.words, "", ""))
            for event in events
            if event.lesion_id == lesion.pk
        ]
        own.sort(key=lambda row: row[:2], reverse=True)
        rows += [(lesion.label, day(on), *cells) for on, _, cells in own]
    return rows
