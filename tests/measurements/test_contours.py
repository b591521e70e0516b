"""The border of a mask: where it runs, what it leaves out, and how few corners it has."""

from __future__ import annotations

import numpy as np
import pytest

from screening.measurements.contours import TOLERANCE, outline

HEIGHT, WIDTH = 150, 200


def disc(x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    return np.hypot(columns - x, rows - y) <= radius


def pixels(mask: np.ndarray) -> np.ndarray:
    return np.array(outline(mask)) * (mask.shape[1], mask.shape[0])


def area(points: np.ndarray) -> float:
    x, y = points.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def test_a_disc():
    mask = disc(80, 60, 30)
    found = pixels(mask)
    assert np.hypot(*(found - (80, 60)).T) == pytest.approx(30, abs=1.2)
    assert area(found) == pytest.approx(mask.sum(), rel=0.02)  # positive: clockwise as seen
    assert 8 < len(found) < 60


def test_a_rectangle_keeps_its_sides():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:60, 50:120] = True
    found = pixels(mask)
    assert found.min(0) == pytest.approx((50, 20), abs=TOLERANCE)
    assert found.max(0) == pytest.approx((120, 60), abs=TOLERANCE)
    assert len(found) <= 8


def test_a_hole_is_not_drawn():
    ring = disc(100, 75, 40) & ~disc(100, 75, 15)
    assert outline(ring) == outline(disc(100, 75, 40))


def test_of_two_parts_the_larger():
    large, small = disc(60, 75, 35), disc(160, 40, 15)
    assert outline(large | small) == outline(large)
    assert outline(large[:, ::-1] | small[:, ::-1]) == outline(large[:, ::-1])


def test_a_ring_counts_with_what_it_encloses():
    """The lesion with a pale centre is larger than the spot beside it."""
    ring = disc(60, 75, 40) & ~disc(60, 75, 37)
    assert pixels(ring | disc(165, 75, 25))[:, 0].max() < 110


def test_parts_that_touch_by_a_corner_are_two():
    mask = np.zeros((40, 40), bool)
    mask[4:16, 4:16] = mask[16:36, 16:36] = True
    found = pixels(mask)
    assert found.min() >= 16
    assert area(found) == pytest.approx(400, rel=0.05)


def test_the_whole_picture():
    found = np.array(outline(np.ones((HEIGHT, WIDTH), bool)))
    assert found.min() == 0
    assert found.max() == 1


def test_one_pixel():
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True
    assert len(outline(mask)) == 4


def test_nothing():
    assert outline(np.zeros((HEIGHT, WIDTH), bool)) == []
