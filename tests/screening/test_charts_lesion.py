"""The course of one lesion as a figure and as a table."""

from __future__ import annotations

import json
import re
from datetime import date

import plotly.graph_objects as go
import pytest

from screening.charts.lesion import p_malignant_over_time
from screening.charts.template import OUTCOME_COLOURS, percent
from screening.models import LesionImage
from screening.tracking import TimelinePoint


def point(share, *, outcome="monitor", version="v1", day=date(2026, 3, 1)):
    return TimelinePoint(LesionImage(captured_on=day), day, share, outcome, version)


THREE = [
    point(0.02, day=date(2025, 3, 1)),
    point(0.4, day=date(2025, 9, 1), outcome="see_doctor", version="v2"),
    point(0.993, day=date(2026, 3, 1), outcome="urgent", version="v2"),
]


def test_a_line_joins_readings_of_one_model_version_only():
    traces = p_malignant_over_time(THREE).figure["data"]
    assert [trace["x"] for trace in traces] == [["2025-03-01"], ["2025-09-01", "2026-03-01"]]
    assert "not joined by a line" in p_malignant_over_time(THREE).summary
    assert "not joined" not in p_malignant_over_time(THREE[1:]).summary


def test_table_has_every_reading_the_latest_first():
    assert p_malignant_over_time(THREE).rows == [
        ("1 Mar 2026", ">99 %", "Urgent", "v2"),
        ("1 Sep 2025", "40 %", "See a doctor", "v2"),
        ("1 Mar 2025", "2 %", "Monitor", "v1"),
    ]


def test_an_outcome_is_told_by_colour_and_by_shape():
    markers = p_malignant_over_time(THREE[1:]).figure["data"][0]["marker"]
    assert markers["color"] == [OUTCOME_COLOURS["see_doctor"], OUTCOME_COLOURS["urgent"]]
    assert len(set(markers["symbol"])) == 2


@pytest.mark.parametrize(("highest", "top"), [(0.01, 0.27), (0.3, 0.54), (0.5, 1.08), (1.0, 1.08)])
def test_the_axis_begins_at_zero_and_holds_the_highest(highest, top):
    low, high = p_malignant_over_time([point(highest)]).figure["layout"]["yaxis"]["range"]
    assert high == pytest.approx(top)
    assert low <= 0 < highest < high


def test_one_reading_has_days_around_it():
    first, last = p_malignant_over_time([point(0.1)]).figure["layout"]["xaxis"]["range"]
    assert first < "2026-03-01" < last


def test_plotly_knows_every_word_of_the_figure():
    """Colours are CSS variables until the page puts in its theme's."""
    text = re.sub(r"var\(--[\w-]+\)", "#123456", json.dumps(p_malignant_over_time(THREE).figure))
    go.Figure(json.loads(text))


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "<1 %"),
        (0.0099, "<1 %"),
        (0.01, "1 %"),
        (0.555, "56 %"),
        (0.99, "99 %"),
        (0.9901, ">99 %"),
    ],
)
def test_percent_claims_no_certainty(share, words):
    assert percent(share) == words
