"""The history of one lesion, and of all of a patient's, as figures and as tables."""

from __future__ import annotations

import json
import re
from datetime import date
from itertools import pairwise

import plotly.graph_objects as go
import pytest

from screening.charts.lesion import reading_over_time
from screening.charts.measures import measures_over_time
from screening.charts.patient import lesions_over_time
from screening.charts.template import OUTCOME_COLOURS
from screening.formatting import percent
from screening.models import Lesion, LesionImage
from screening.records.timeline import Event, Kind, Measured, Told

LESION = Lesion(label="Left <b>shoulder</b> blade")
FIRST, SECOND, THIRD = date(2025, 3, 1), date(2025, 9, 1), date(2026, 3, 1)


def image(day, lesion=LESION):
    return LesionImage(captured_on=day, lesion=lesion, width=400, height=300)


def told(share, *, outcome="monitor", version="v1", day=THIRD, lesion=LESION):
    return Told(image(day, lesion), outcome, share, version)


def measured(area, *, version="v1", day=THIRD, scale=None):
    values = {
        "area_px": area,
        "area_share": area / 120_000,
        "longest_diameter_px": 100.0,
        "asymmetry_shape": 0.1,
        "asymmetry_colour": 4.0,
        "border_irregularity": 1.2,
        "colour_variegation": 9.0,
        "colours": dict.fromkeys(("white", "red", "dark_brown", "blue_grey", "black"), 0.0)
        | {"light_brown": 0.6},
    }
    return Measured(image(day), version, values, scale)


THREE = [
    told(0.02, day=FIRST),
    told(0.4, day=SECOND, outcome="see_doctor", version="v2"),
    told(0.993, day=THIRD, outcome="urgent", version="v2"),
]
EVENTS = [
    Event(Kind.MARK, SECOND, LESION.pk, "Changed"),
    Event(Kind.ALERT, SECOND, LESION.pk, "Grew fast"),
    Event(Kind.REVIEW, date(2026, 3, 3), LESION.pk, "Melanoma"),
    Event(Kind.HISTOLOGY, date(2026, 3, 20), LESION.pk, "Melanoma"),
]


def lines(figure):
    return [one["x"] for one in figure["data"] if "lines" in one["mode"]]


def test_a_line_joins_readings_of_one_model_version_only():
    chart = reading_over_time(THREE, [])
    assert lines(chart.figure) == [["2025-03-01"], ["2025-09-01", "2026-03-01"]]
    assert "not joined by a line" in chart.summary
    assert "not joined" not in reading_over_time(THREE[1:], []).summary
    # Nor over a reading by another version between two of one.
    again = [*THREE, told(0.5, day=date(2026, 6, 1), version="v1")]
    assert len(lines(reading_over_time(again, []).figure)) == 3


def test_the_model_version_is_marked_where_it_changes():
    layout = reading_over_time(THREE, []).figure["layout"]
    (mark,) = layout["shapes"]
    assert "2025-03-01" < mark["x0"] == mark["x1"] < "2025-09-01"
    assert "from here model v2" in [one["text"] for one in layout["annotations"]]
    assert not reading_over_time(THREE[1:], []).figure["layout"]["shapes"]


def test_reviews_histology_alerts_and_marks_are_on_the_same_axis():
    chart = reading_over_time(THREE, EVENTS)
    lanes = {one["name"]: one for one in chart.figure["data"] if one.get("yaxis") == "y2"}
    assert {name: lane["x"] for name, lane in lanes.items() if name != "Picture"} == {
        "Looked at": ["2025-09-01"],
        "Alert": ["2025-09-01"],
        "Conclusion": ["2026-03-03"],
        "Histology": ["2026-03-20"],
    }
    axis = chart.figure["layout"]["yaxis2"]
    for name, lane in lanes.items():
        assert {axis["ticktext"][place] for place in lane["y"]} == {name}
    assert chart.figure["layout"]["xaxis"]["range"][1] > "2026-03-20"
    marks = {one["marker"]["symbol"] for name, one in lanes.items() if name != "Picture"}
    assert len(marks) == 4


def test_the_table_has_images_and_events_the_latest_first():
    rows = reading_over_time(THREE, EVENTS).rows
    assert rows == [
        ("20 Mar 2026", "Histology", "Melanoma", "", ""),
        ("3 Mar 2026", "Conclusion", "Melanoma", "", ""),
        ("1 Mar 2026", "Picture", "Urgent", ">99 %", "v2"),
        ("1 Sep 2025", "Looked at", "Changed", "", ""),
        ("1 Sep 2025", "Alert", "Grew fast", "", ""),
        ("1 Sep 2025", "Picture", "See a doctor", "40 %", "v2"),
        ("1 Mar 2025", "Picture", "Monitor", "2 %", "v1"),
    ]


def test_an_image_without_an_assessment_has_its_place_but_no_chance():
    """Blurred, or not read yet: nothing is drawn among the probabilities."""
    chart = reading_over_time(
        [told(None, outcome="", version=""), told(None, outcome="not_assessable")], []
    )
    (lane,) = chart.figure["data"]
    assert len(lane["x"]) == 2
    assert {row[2] for row in chart.rows} == {"Not read", "Not assessable"}


def test_an_outcome_is_told_by_colour_and_by_shape():
    lane = reading_over_time(THREE[1:], []).figure["data"][0]["marker"]
    assert lane["color"] == [OUTCOME_COLOURS["see_doctor"], OUTCOME_COLOURS["urgent"]]
    assert len(set(lane["symbol"])) == 2


@pytest.mark.parametrize(("highest", "top"), [(0.01, 0.28), (0.3, 0.56), (0.5, 1.12), (1.0, 1.12)])
def test_the_axis_begins_at_zero_and_holds_the_highest(highest, top):
    low, high = reading_over_time([told(highest)], []).figure["layout"]["yaxis"]["range"]
    assert high == pytest.approx(top)
    assert low <= 0 < highest < high


def test_one_reading_has_days_around_it():
    first, last = reading_over_time([told(0.1)], []).figure["layout"]["xaxis"]["range"]
    assert first < "2026-03-01" < last


def test_each_measure_has_a_panel_of_its_own():
    chart = measures_over_time([measured(900, day=FIRST), measured(1200, day=THIRD)], EVENTS)
    layout = chart.figure["layout"]
    panels = sorted(axis["domain"] for name, axis in layout.items() if name.startswith("yaxis"))
    assert len(panels) == 7  # six measures, and the lanes
    for (_, below), (above, _) in pairwise(panels):
        assert below < above
    assert panels[0][0] >= 0
    assert panels[-1][1] == 1
    assert chart.rows[0][0] == "1 Mar 2026"
    assert chart.rows[0][-2:] == ("light brown", "model v1")


def test_measures_within_different_outlines_are_not_joined():
    rows = [
        measured(900, day=FIRST),
        measured(950, day=SECOND),
        measured(1200, day=THIRD, version=""),
        measured(1300, day=date(2026, 6, 1), version="v2"),
    ]
    chart = measures_over_time(rows, [])
    area = [one for one in chart.figure["data"] if one["name"].startswith("Area")]
    assert [len(one["x"]) for one in area] == [2, 1, 1]
    assert [one["marker"]["symbol"] for one in area] == ["circle", "square", "circle"]
    assert "not joined" in chart.summary
    assert len(chart.figure["layout"]["shapes"]) == 1


def test_millimetres_only_where_every_image_has_a_scale():
    both = [measured(900, day=FIRST, scale=0.1), measured(1600, day=THIRD, scale=0.1)]
    chart = measures_over_time(both, [])
    assert chart.rows[0][1:3] == ("16.0\N{NO-BREAK SPACE}mm²", "10.0\N{NO-BREAK SPACE}mm")
    mixed = measures_over_time([both[0], measured(1600, day=THIRD)], [])
    assert "\N{NO-BREAK SPACE}mm" not in json.dumps(
        [mixed.figure, mixed.rows, mixed.head], ensure_ascii=False
    )
    assert "shares of the picture" in mixed.summary


def test_a_patients_lesions_lie_one_below_another():
    other = Lesion(label="Arm")
    readings = [*THREE, told(0.1, lesion=other)]
    chart = lesions_over_time([LESION, other], readings, EVENTS)
    axis = chart.figure["layout"]["yaxis"]
    assert axis["ticktext"] == ["Left<br>&lt;b&gt;shoulder&lt;/b&gt;<br>blade", "Arm"]
    assert axis["tickvals"] == [1, 0]
    by_name = {one.get("name"): one for one in chart.figure["data"]}
    assert by_name["Monitor"]["y"] == [1, 0]
    assert by_name["Urgent"]["y"] == [1]
    assert by_name["Alert"]["y"][0] > 1
    assert [row[0] for row in chart.rows] == [LESION.label] * 7 + ["Arm"]


def test_plotly_knows_every_word_of_the_figures():
    """Colours are CSS variables until the page inserts its theme's."""
    for chart in (
        reading_over_time(THREE, EVENTS),
        measures_over_time([measured(900)], EVENTS),
        lesions_over_time([LESION], THREE, EVENTS),
    ):
        text = re.sub(r"var\(--[\w-]+\)", "#123456", json.dumps(chart.figure))
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
