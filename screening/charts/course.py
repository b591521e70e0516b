"""Parts shared by charts over time: the axis of days, lanes of events, marks of model changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from itertools import groupby, pairwise
from typing import Any, TypeVar

from screening.charts.template import ACCENT, INK, LINE, MUTED, OUTCOME_COLOURS, SECOND
from screening.formatting import day
from screening.models import Outcome
from screening.records.timeline import Event, Kind

T = TypeVar("T")

# Shape shows the kind as well as colour.
SYMBOLS = {
    Outcome.URGENT: "octagon",
    Outcome.SEE_DOCTOR: "triangle-up",
    Outcome.MONITOR: "circle",
    Outcome.NOT_ASSESSABLE: "circle-open-dot",
}
UNREAD = "circle-open"
EVENTS = {
    Kind.MARK: ("Looked at", "diamond-open", SECOND),
    Kind.ALERT: ("Alert", "star", OUTCOME_COLOURS["urgent"]),
    Kind.REVIEW: ("Conclusion", "square", ACCENT),
    Kind.VISIT: ("Doctor’s visit", "cross", SECOND),
    Kind.HISTOLOGY: ("Histology", "hexagram", INK),
}
LANE = 30
"""Pixels."""


def outcome_symbol(outcome: str) -> str:
    return SYMBOLS[Outcome(outcome)] if outcome else UNREAD


def outcome_colour(outcome: str) -> str:
    return OUTCOME_COLOURS[outcome] if outcome else MUTED


def outcome_word(outcome: str) -> str:
    return Outcome(outcome).label if outcome else "Not read"


def kind_word(kind: Kind) -> str:
    return EVENTS[kind][0]


def time_axis(days: Iterable[date]) -> dict[str, Any]:
    """Margins on both sides keep the first and last points whole, and a single point from being
    stretched over hours.
    """
    known = sorted(days)
    first, last = known[0], known[-1]
    room = max(timedelta(days=14), (last - first) * 0.08)
    return {
        "type": "date",
        "range": [(first - room).isoformat(), (last + room).isoformat()],
        "tickformat": "%-d %b\n%Y",
        "nticks": 6,
        "showgrid": False,
        # Below all panels.
        "anchor": "free",
        "position": 0,
    }


def runs(rows: Sequence[T], key: Callable[[T], object]) -> list[list[T]]:
    """Runs of neighbours with the same key: only these are joined by a line."""
    return [list(run) for _, run in groupby(rows, key)]


def kinds_of(events: Iterable[Event]) -> list[Kind]:
    """The kinds that occur, in their order."""
    there = {event.kind for event in events}
    return [kind for kind in Kind if kind in there]


def event_lanes(events: list[Event], axis: str, first: int = 0) -> list[dict[str, Any]]:
    """A trace for each kind, on lanes from ``first`` on. axis: Plotly's name, such as "y2"."""
    data = []
    for lane, kind in enumerate(kinds_of(events), first):
        here = [event for event in events if event.kind == kind]
        name, symbol, colour = EVENTS[kind]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "yaxis": axis,
                "x": [event.on.isoformat() for event in here],
                "y": [lane] * len(here),
                "marker": {"size": 12, "symbol": symbol, "color": colour},
                "customdata": [[day(event.on), event.words] for event in here],
                "hovertemplate": f"%{{customdata[0]}}<br><b>{name}</b>: %{{customdata[1]}}"
                "<extra></extra>",
            }
        )
    return data


def lane_axis(names: Sequence[str], domain: tuple[float, float]) -> dict[str, Any]:
    return {
        "domain": list(domain),
        "range": [-0.6, len(names) - 0.4],
        "tickvals": list(range(len(names))),
        "ticktext": list(names),
        "ticks": "",
        "zeroline": False,
    }


def event_lines(events: list[Event]) -> list[dict[str, Any]]:
    """Lines through all panels at the days of events, to show what came before and after."""
    return [
        _upright(on.isoformat(), {"color": LINE, "width": 1, "dash": "dot"})
        for on in sorted({event.on for event in events})
    ]


def version_marks(readings: list[tuple[date, str]]) -> dict[str, Any]:
    """``shapes`` and ``annotations``: a line half-way between two readings by different versions,
    labelled with the later version. readings: day and version, empty for none.
    """
    read = [one for one in readings if one[1]]
    shapes, annotations = [], []
    for (before, old), (after, new) in pairwise(read):
        if old == new:
            continue
        place = (before + (after - before) / 2).isoformat()
        is_late = after - read[0][0] > read[-1][0] - after
        shapes.append(_upright(place, {"color": MUTED, "width": 1, "dash": "dash"}))
        annotations.append(
            {
                "x": place,
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "xanchor": "right" if is_late else "left",
                "showarrow": False,
                "text": f"from here model {new}",
                "font": {"size": 12, "color": MUTED},
            }
        )
    return {"shapes": shapes, "annotations": annotations}


def _upright(place: str, line: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": place,
        "x1": place,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "layer": "below",
        "line": line,
    }


def panel_title(text: str, top: float) -> dict[str, Any]:
    """The title above the panel whose upper edge is at ``top``, a share of the figure's height."""
    return {
        "text": text,
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": top,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 13, "color": MUTED},
    }
