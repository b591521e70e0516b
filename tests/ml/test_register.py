"""Alignment of images: synthetic ones, and real ones if available."""

import cv2
import numpy as np
import pytest

from benchmarks import registration
from ml.lesion import register
from tests.ml.conftest import draw_lesion


def visit(seed: int, spot: int = 0):
    """Grainy skin with a lesion whose structure depends on ``spot``, at 512 x 384; and its mask."""
    rng = np.random.default_rng(spot)
    pixels = cv2.resize(draw_lesion(384, 512, seed=spot), (512, 384)).astype(float)
    texture = cv2.GaussianBlur(rng.normal(0, 1, (384, 512)), (0, 0), 4)
    pixels += 25 * (texture / texture.std())[..., None]
    pixels += np.random.default_rng(seed).normal(0, 2, pixels.shape)
    y, x = np.mgrid[0:384, 0:512]
    return np.clip(pixels, 0, 255).astype(np.uint8), np.hypot(x - 256, y - 192) < 90


@pytest.mark.parametrize("seed", range(6))
def test_a_second_visit_is_laid_over_the_first(seed):
    pixels, mask = visit(seed)
    later, shape, true = registration.disturbed(pixels, mask, np.random.default_rng(seed))
    found = register.align(pixels, later, mask, shape)
    assert found.aligned
    assert found.reason == ""
    assert registration.corner_error(found.matrix, true) <= 0.02


def test_the_images_may_have_different_sizes():
    pixels, mask = visit(0)
    half = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = register.align(pixels, half, mask)
    assert found.aligned
    # A pixel of the half-size copy covers two by two, whose centre is offset by half a pixel.
    assert found.matrix == pytest.approx(np.array([[2, 0, 0.5], [0, 2, 0.5]]), abs=0.5)


def test_different_lesions_are_not_laid_over():
    (one, mask), (other, shape) = visit(0, spot=0), visit(0, spot=5)
    found = register.align(one, other, mask, shape)
    assert not found.aligned
    assert found.matrix is None
    assert found.score < register.GOOD
    assert found.reason


def test_pictures_without_structure_are_refused():
    plain = np.full((384, 512, 3), 180, np.uint8)
    assert not register.align(plain, plain).aligned


def test_the_same_twice():
    pixels, mask = visit(0)
    later, shape, _ = registration.disturbed(pixels, mask, np.random.default_rng(4))
    first, second = (register.align(pixels, later, mask, shape) for _ in range(2))
    assert np.array_equal(first.matrix, second.matrix)
    assert first.score == second.score


def test_warping_shows_the_later_image_in_the_earlier_frame():
    pixels, mask = visit(0)
    later, _, true = registration.disturbed(pixels, mask, np.random.default_rng(1))
    warped, valid = register.warp(later, true, mask.shape)
    assert warped.shape == pixels.shape
    assert 0.4 < valid.mean() < 1.0
    matched = register.match_light(warped, pixels, valid, ~mask)
    far = np.abs(matched.astype(float) - pixels)[valid].mean()
    assert far < np.abs(warped.astype(float) - pixels)[valid].mean()
    assert far < 12


def test_light_is_matched_by_the_skin_not_by_the_lesion():
    """A lesion that darkened stays dark in the other picture's light."""
    pixels, mask = visit(0)
    darker = pixels.astype(float)
    darker[mask] *= 0.5
    taken = np.clip(darker * (0.8, 0.9, 0.7), 0, 255).astype(np.uint8)
    matched = register.match_light(taken, pixels, np.ones(mask.shape, bool), ~mask)
    assert matched[mask].mean(axis=0) == pytest.approx(darker[mask].mean(axis=0), rel=0.06)
    assert matched[~mask].mean(axis=0) == pytest.approx(pixels[~mask].mean(axis=0), rel=0.06)
    nowhere = np.zeros(mask.shape, bool)
    assert np.array_equal(register.match_light(taken, pixels, nowhere, ~mask), taken)
    filling = register.match_light(pixels, pixels, np.ones(mask.shape, bool), nowhere)
    assert np.abs(filling.astype(int) - pixels).max() <= 1


def test_real_pairs(ham10000):
    """A few of the benchmark's pairs; the benchmark has the figures."""
    chosen = registration.choose(ham10000, np.random.default_rng(3))
    assert registration.real(ham10000, chosen["different"][:20])["aligned"] <= 0.1
    same = registration.real(ham10000, chosen["same"][:20])
    assert same["aligned"] >= 0.5
    assert same["median_jaccard_after"] > same["median_jaccard_before"]
