"""The figures of the model page."""

from __future__ import annotations

from typing import Any

from screening.charts.story import CLEAR, interval, share_bars, tick
from screening.charts.template import (
    ACCENT,
    INK,
    MUTED,
    OUTCOME_COLOURS,
    RAMP,
    SURFACE,
    figure,
)
from screening.models import Conclusion, Outcome

_SHARES = {"range": [-0.03, 1.03], "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1]}


def outcomes(labels: list[str], shares: dict[Outcome, list[float]]) -> dict[str, Any]:
    """shares: by outcome, one for each label; the first label at the bottom."""
    return share_bars(
        labels,
        {outcome.label: share for outcome, share in shares.items()},
        {outcome.label: OUTCOME_COLOURS[outcome.value] for outcome in shares},
        SURFACE,
    )


def roc(curve: list[list[float]], told: dict[Outcome, tuple[float, float]]) -> dict[str, Any]:
    """curve: points of false positive and true positive rates; told: the same pair for each
    threshold in use.
    """
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": [alarms for alarms, _ in curve],
        "y": [found for _, found in curve],
        "line": {"color": ACCENT, "width": 2},
        "hovertemplate": "%{y:.0%} of cancers found<br>%{x:.0%} of harmless flagged<extra></extra>",
    }
    marks = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [alarms for alarms, _ in told.values()],
        "y": [found for _, found in told.values()],
        "text": [outcome.label for outcome in told],
        "textposition": "bottom right",
        "marker": {
            "size": 12,
            "color": [OUTCOME_COLOURS[outcome.value] for outcome in told],
            "symbol": ["triangle-up", "octagon"],
        },
        "hovertemplate": "%{text}: %{y:.0%} of cancers<br>%{x:.0%} of harmless<extra></extra>",
        "cliponaxis": False,
    }
    return figure(
        [_diagonal(), line, marks],
        height=400,
        xaxis={**_SHARES, "title": {"text": "Harmless lesions flagged"}},
        yaxis={**_SHARES, "title": {"text": "Cancers flagged"}},
    )


def sensitivities(found: dict[str, dict[str, float]], images: dict[str, int]) -> dict[str, Any]:
    """A dot and its interval for each diagnosis, the first at the bottom."""
    values = [rate["value"] for rate in found.values()]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": [tick(Conclusion(code).label) for code in found],
        "marker": {"size": 12, "color": ACCENT},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [rate["high"] - rate["value"] for rate in found.values()],
            "arrayminus": [rate["value"] - rate["low"] for rate in found.values()],
            "color": MUTED,
            "thickness": 1.5,
            "width": 5,
        },
        "customdata": [[interval(rate), images[code]] for code, rate in found.items()],
        "hovertemplate": "%{y}: %{x:.0%}<br>95 % interval %{customdata[0]} %"
        "<br>%{customdata[1]} pictures<extra></extra>",
        "cliponaxis": False,
    }
    return figure(
        [dots],
        height=100 + 44 * len(found),
        xaxis=_SHARES,
        yaxis={"ticklen": 6, "tickcolor": CLEAR},
    )


def confusion(names: list[str], counts: list[list[int]]) -> dict[str, Any]:
    """counts: true class by row, predicted class by column, in the order of names."""
    ticks = [tick(name) for name in names]
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    heat = {
        "type": "heatmap",
        "z": [[_shade(share) for share in row] for row in shares],
        "x": ticks,
        "y": ticks,
        "zmin": 0,
        "zmax": 1,
        "colorscale": RAMP,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hoverinfo": "skip",
    }
    numbers = [
        {
            "x": ticks[called],
            "y": ticks[was],
            "text": str(count),
            "showarrow": False,
            "font": {"color": SURFACE if shares[was][called] > 0.5 else INK},
        }
        for was, row in enumerate(counts)
        for called, count in enumerate(row)
    ]
    return figure(
        [heat],
        height=560,
        annotations=numbers,
        xaxis={
            "side": "top",
            "title": {"text": "Called"},
            "showgrid": False,
            "tickangle": -90,
            "tickfont": {"size": 11},
        },
        yaxis={"autorange": "reversed", "title": {"text": "Was"}, "showgrid": False},
    )


def _shade(share: float) -> float:
    """A position on the colour ramp. It skips the middle, where no text colour is legible in both
    themes.
    """
    return 0.8 * share if share <= 0.5 else 0.8 + 0.2 * share


def reliability(groups: list[dict[str, float]]) -> dict[str, Any]:
    """groups: from the card, each with the predicted and the observed share and the number of
    images.
    """
    images = sum(group["n"] for group in groups)
    dots = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [group["said"] for group in groups],
        "y": [group["was"] for group in groups],
        "customdata": [group["n"] for group in groups],
        "line": {"color": ACCENT, "width": 1},
        # Proportional to area, with a visible minimum.
        "marker": {
            "size": [8 + 26 * (group["n"] / images) ** 0.5 for group in groups],
            "opacity": 1,
        },
        "hovertemplate": "Stated %{x:.0%}, was %{y:.0%}<br>%{customdata} pictures<extra></extra>",
        "cliponaxis": False,
    }
    return figure(
        [_diagonal(), dots],
        height=380,
        xaxis={**_SHARES, "title": {"text": "Stated chance of cancer"}},
        yaxis={**_SHARES, "title": {"text": "Was cancer"}},
    )


def _diagonal() -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [0, 1],
        "y": [0, 1],
        "line": {"color": MUTED, "dash": "dash", "width": 1},
        "hoverinfo": "skip",
    }
