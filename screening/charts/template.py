"""The common style of all figures, and a chart with its table as a page shows it.

Figures are plain dicts. Their colours are CSS variables of ``static/css/theme.css``;
``static/js/charts.js`` inserts the values of the current theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

INK = "var(--sc-ink)"
MUTED = "var(--sc-muted)"
LINE = "var(--sc-line)"
SURFACE = "var(--sc-surface)"
ACCENT = "var(--sc-accent)"
SECOND = "var(--sc-second)"
OUTCOME_COLOURS = {
    "urgent": "var(--sc-urgent)",
    "see_doctor": "var(--sc-see_doctor)",
    "monitor": "var(--sc-monitor)",
    "not_assessable": "var(--sc-not_assessable)",
}
# One hue, light to dark, for confusion matrices and similar charts. Never a rainbow.
RAMP = [[0, SURFACE], [1, ACCENT]]

_AXIS = {
    "gridcolor": LINE,
    "linecolor": LINE,
    "zerolinecolor": LINE,
    "tickcolor": LINE,
    "automargin": True,
    "fixedrange": True,
    "title": {"standoff": 12},
}
_LAYOUT: dict[str, Any] = {
    "font": {"family": "system-ui, 'Segoe UI', Roboto, sans-serif", "size": 14, "color": INK},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "colorway": [ACCENT, SECOND, MUTED],
    "margin": {"l": 8, "r": 8, "t": 16, "b": 8},
    "xaxis": _AXIS,
    "yaxis": _AXIS,
    "hoverlabel": {
        "bgcolor": SURFACE,
        "bordercolor": LINE,
        "font": {"color": INK},
        "align": "left",
    },
    "showlegend": False,
    "bargap": 0.35,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure and the same numbers as a table, for ``templates/partials/chart.html``.

    key: unique on its page, used as an HTML id. summary: what the chart shows, for a screen reader.
    head, rows: the table.
    """

    key: str
    summary: str
    figure: dict[str, Any]
    head: Sequence[str]
    rows: Sequence[Sequence[object]]


def figure(data: list[dict[str, Any]], **layout: Any) -> dict[str, Any]:
    """A Plotly figure in our style; ``layout`` extends and overrides it."""
    return {"data": data, "layout": {"template": {"layout": _LAYOUT}, "height": 320, **layout}}
