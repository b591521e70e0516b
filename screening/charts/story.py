"""A finding in words with the chart that shows it, and parts shared by the charts of a model
card.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Any

from screening.charts.template import Chart, figure
from screening.models import Conclusion

CLEAR = "rgba(0,0,0,0)"
FAINT = "var(--sc-line-strong)"


@dataclass(frozen=True, slots=True)
class Story:
    """heading: the finding. text: what it means, and how to read the chart."""

    heading: str
    text: str
    chart: Chart


def name_of(diagnosis: str) -> str:
    """The full name, for the middle of a sentence."""
    label = Conclusion(diagnosis).label
    return label[0].lower() + label[1:]


def tick(label: str) -> str:
    """An axis label, broken into lines short enough to leave room for the chart on a phone."""
    return "<br>".join(textwrap.wrap(label, 20))


def of_100(share: float) -> str:
    """A share as a whole number of 100, or in words where a whole number would be too precise."""
    if share < 0.01:
        return "fewer than 1"
    return "more than 99" if share > 0.99 else f"{100 * share:.0f}"


def interval(measured: dict[str, float]) -> str:
    """The 95 % interval of a share, per 100, rounded outwards to whole numbers: "93–98"."""
    return f"{at_most_of_100(measured['low'])}–{at_least_of_100(measured['high'])}"


def at_most_of_100(share: float) -> int:
    """Rounded down. The sixth and later digits come from floating point, not from the share."""
    return math.floor(round(100 * share, 4))


def at_least_of_100(share: float) -> int:
    """Rounded up."""
    return math.ceil(round(100 * share, 4))


def count_bars(labels: list[str], counts: list[int], colours: list[str]) -> dict[str, Any]:
    """Horizontal bars, the first at the bottom, each labelled with its number."""
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": [tick(label) for label in labels],
        "x": counts,
        "text": [f"{count:,}" for count in counts],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": colours},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    return figure(
        [bars],
        height=40 + 40 * len(labels),
        xaxis={"visible": False, "range": [0, 1.35 * max(counts)]},
        yaxis={"ticklen": 6, "tickcolor": CLEAR},
    )


def share_bars(
    labels: list[str], parts: dict[str, list[float]], colours: dict[str, str], ink: str
) -> dict[str, Any]:
    """Horizontal bars of parts that add up to the whole. parts: name -> share for each label."""
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": [tick(label) for label in labels],
            "x": shares,
            "text": [f"{100 * share:.0f}" if share > 0.08 else "" for share in shares],
            "textposition": "inside",
            "textangle": 0,
            "insidetextanchor": "middle",
            "insidetextfont": {"color": ink},
            "marker": {"color": colours[name], "line": {"color": ink, "width": 1}},
            "hovertemplate": f"%{{y}}: %{{x:.0%}} {name}<extra></extra>",
        }
        for name, shares in parts.items()
    ]
    return figure(
        data,
        height=100 + 44 * len(labels),
        barmode="stack",
        bargap=0.25,
        showlegend=True,
        legend={
            "orientation": "h",
            "traceorder": "normal",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "itemclick": False,
            "itemdoubleclick": False,
        },
        xaxis={"visible": False, "range": [0, 1]},
        yaxis={"ticklen": 6, "tickcolor": CLEAR},
    )
