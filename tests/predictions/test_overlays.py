"""Overlays on the picture: the border, and the evidence on one scale, with its text."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ml.diagnoses import Diagnosis
from screening.predictions.overlays import LEVELS, overlays_of
from tests.factories import PredictionMapsFactory

ROWS, COLUMNS = 15, 20
MIDDLE = 7 * COLUMNS + 10
NUMBER = {diagnosis.value: n for n, diagnosis in enumerate(Diagnosis)}


def overlays(cells=(), **fields):
    """cells: row, column, code, logits. All other evidence is zero."""
    evidence = np.zeros((ROWS, COLUMNS, len(Diagnosis)))
    for row, column, code, logits in cells:
        evidence[row, column, NUMBER[code]] = logits
    return overlays_of(
        PredictionMapsFactory.build(prediction=None, evidence=evidence.tolist(), **fields)
    )


def png(mask):
    buffer = BytesIO()
    Image.fromarray(mask).convert("L").save(buffer, "PNG")
    return buffer.getvalue()


def test_the_border_is_relative_to_the_picture():
    border = np.array(overlays().outline)
    assert border.mean(0) == pytest.approx((0.5, 0.5), abs=0.02)
    assert np.ptp(border, 0) == pytest.approx((60 / 200, 60 / 150), abs=0.02)


def test_the_strongest_cell_is_full_and_all_seven_have_its_scale():
    grid = overlays([(7, 10, "mel", 0.4), (0, 0, "bcc", 0.2)]).grid
    assert (grid["columns"], grid["rows"]) == (COLUMNS, ROWS)
    assert grid["levels"].keys() == NUMBER.keys()
    assert grid["levels"]["mel"][MIDDLE] == LEVELS
    assert grid["levels"]["bcc"][0] == pytest.approx(LEVELS / 2, abs=1)
    assert sum(grid["levels"]["nv"]) == 0


def test_what_speaks_against_is_left_out():
    levels = overlays([(7, 10, "mel", -0.4)]).grid["levels"]
    assert levels["mel"][MIDDLE] == 0
    assert levels["nv"][MIDDLE] == LEVELS  # only it is lower, so each of the others is higher


def test_what_is_added_to_all_seven_alike_is_evidence_for_none():
    cells = [(7, 10, code, 0.3) for code in NUMBER]
    grid = overlays(cells).grid
    assert not any(map(any, grid["levels"].values()))
    assert grid["words"]["mel"] == (
        "Nothing in the picture points to melanoma more than to the other diagnoses."
    )


@pytest.mark.parametrize(
    ("row", "column", "share"), [(7, 10, "100 %"), (0, 0, "0 %"), (7, 13, "0 %")]
)
def test_the_words_say_where_it_lies_and_what_it_is_not(row, column, share):
    words = overlays([(row, column, "mel", 0.4)]).grid["words"]["mel"]
    assert words == (
        "Coloured: what the model took for a sign of melanoma. "
        f"About {share} of it lies inside the outline. "
        "It is not the border of the spot, and proves nothing."
    )


def test_without_a_mask_there_is_no_border_and_no_word_of_it():
    found = overlays([(7, 10, "mel", 0.4)], mask=png(np.zeros((150, 200), bool)))
    assert found.outline == []
    assert "inside the outline" not in found.grid["words"]["mel"]


def test_a_picture_whose_side_is_no_multiple_of_a_cell():
    """155 pixels wide under 16 cells of 10: the last cell reaches past the edge, and is drawn
    so.
    """
    maps = PredictionMapsFactory.build(
        prediction=None,
        mask=png(np.ones((150, 155), bool)),
        evidence=np.ones((15, 16, 7)).tolist(),
    )
    found = overlays_of(maps)
    assert found.across == pytest.approx(160 / 155)
    assert found.down == 1
