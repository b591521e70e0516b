"""How the reading of one lesion changed over time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from screening.charts.template import MUTED, OUTCOME_COLOURS, Chart, day, figure, percent
from screening.models import Outcome
from screening.tracking import TimelinePoint

# An outcome is told by shape as well as by colour.
SYMBOLS = {
    Outcome.URGENT: "octagon",
    Outcome.SEE_DOCTOR: "triangle-up",
    Outcome.MONITOR: "circle",
    Outcome.NOT_ASSESSABLE: "circle-open-dot",
}


def p_malignant_over_time(points: list[TimelinePoint]) -> Chart:
    """points: at least one, by day of capture.

    A line joins readings of one model version only: between versions the scale has changed, not
    the skin.
    """
    versions = sorted({point.model_version for point in points})
    data = [
        _trace(version, [p for p in points if p.model_version == version]) for version in versions
    ]
    return Chart(
        key="over-time",
        summary=_summary(points, versions),
        figure=figure(
            data,
            height=300,
            xaxis=_time_axis(points),
            yaxis=_share_axis(points),
            hovermode="closest",
        ),
        head=("Taken on", "Chance of cancer or its precursor", "Outcome", "Model"),
        rows=[
            (day(p.captured_on), percent(p.p_malignant), Outcome(p.outcome).label, p.model_version)
            for p in reversed(points)
        ],
    )


def _trace(version: str, points: list[TimelinePoint]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers+text",
        "name": f"Model {version}",
        "x": [point.captured_on.isoformat() for point in points],
        "y": [round(point.p_malignant, 4) for point in points],
        "text": [percent(point.p_malignant) for point in points],
        "textposition": "top center",
        "cliponaxis": False,
        "line": {"color": MUTED, "width": 1.5},
        "marker": {
            "size": 13,
            "color": [OUTCOME_COLOURS[point.outcome] for point in points],
            "symbol": [SYMBOLS[Outcome(point.outcome)] for point in points],
        },
        "customdata": [[day(point.captured_on), Outcome(point.outcome).label] for point in points],
        "hovertemplate": "%{customdata[0]}<br><b>%{text}</b>, %{customdata[1]}"
        f"<extra>Model {version}</extra>",
    }


def _share_axis(points: list[TimelinePoint]) -> dict[str, Any]:
    """From 0 always, and never so close that a few points look like a leap."""
    highest = max(point.p_malignant for point in points)
    top = next(limit for limit in (0.25, 0.5, 1.0) if highest <= 0.9 * limit or limit == 1)
    return {"range": [-0.04 * top, 1.08 * top], "tickformat": ".0%", "nticks": 6}


def _time_axis(points: list[TimelinePoint]) -> dict[str, Any]:
    """Room on both sides, so that the first and the last reading are not cut, nor a single one
    stretched over hours."""
    first, last = points[0].captured_on, points[-1].captured_on
    room = max(timedelta(days=14), (last - first) * 0.08)
    return {
        "type": "date",
        "range": [(first - room).isoformat(), (last + room).isoformat()],
        "tickformat": "%-d %b\n%Y",
        "nticks": 6,
        "showgrid": False,
    }


def _summary(points: list[TimelinePoint], versions: list[str]) -> str:
    last = points[-1]
    text = (
        f"Calibrated chance of cancer or its precursor in {len(points)} "
        f"reading{'s' if len(points) > 1 else ''}. "
        f"The last, of {day(last.captured_on)}: {percent(last.p_malignant)}."
    )
    if len(versions) > 1:
        text += " Readings by different model versions are not joined by a line."
    return text
