"""Synthetic pictures: the same for the same seed, and changing where the demo says so."""

from __future__ import annotations

import numpy as np

from ml import reader
from ml.types import PatientContext
from screening.images import synthetic


def pixels(**options: float) -> np.ndarray:
    return np.asarray(synthetic.draw_lesion(seed=3, **options), np.float64)


def test_the_same_seed_draws_the_same_spot():
    assert np.array_equal(pixels(), pixels())
    other = np.asarray(synthetic.draw_lesion(seed=4), np.float64)
    assert not np.array_equal(pixels(), other)


def test_a_larger_radius_darkens_more_of_the_picture():
    small, large = pixels(radius=0.12), pixels(radius=0.24)
    assert (large[..., 2] < 90).mean() > 2.5 * (small[..., 2] < 90).mean()


def test_one_side_darkens():
    even, uneven = pixels(), pixels(dark_side=0.9)
    middle = slice(200, 250)
    left, right = slice(240, 290), slice(330, 380)
    assert uneven[middle, right].mean() < even[middle, right].mean() - 20
    assert abs(uneven[middle, left].mean() - even[middle, left].mean()) < 5


def test_one_side_grows():
    even, uneven = pixels(radius=0.13), pixels(radius=0.13, bulge=0.8)
    right, left = slice(365, 395), slice(205, 235)
    middle = slice(215, 235)
    assert uneven[middle, right].mean() < even[middle, right].mean() - 20
    assert abs(uneven[middle, left].mean() - even[middle, left].mean()) < 2


def test_it_is_marked_in_the_picture():
    """White letters along the lower edge, where skin alone is never white."""
    below = pixels()[400:445]
    assert (below.min(axis=2) > 240).mean() > 0.01
    assert (pixels()[100:350].min(axis=2) > 240).mean() == 0


def test_the_model_takes_it_for_dermatoscopy():
    reading = reader.load().read(pixels().astype(np.uint8), PatientContext())
    assert reading.reason == ""
