"""What the network is shown of an image."""

import numpy as np
import pytest
from PIL import Image

from ml.views import (
    EVIDENCE_CELL,
    SHORT_SIDE,
    VIEW_SIDE,
    VIEWS,
    evidence_on_frame,
    masks_on_frame,
    reduce,
    views,
)
from tests.ml.conftest import draw_lesion


@pytest.mark.parametrize(
    "size", [(450, 600), (600, 450), (150, 200), (224, 224), (60, 2000), (1, 1)]
)
def test_every_size_gives_the_same_shapes(size):
    reduced = reduce(draw_lesion(*size))
    assert min(reduced.size) == SHORT_SIDE
    shown = views(reduced)
    assert shown.shape == (len(VIEWS), VIEW_SIDE, VIEW_SIDE, 3)
    assert shown.min() >= 0
    assert shown.max() <= 255


def test_the_resolution_of_the_training_data_is_left_alone():
    pixels = draw_lesion(150, 200)
    assert np.array_equal(np.asarray(reduce(pixels)), pixels)


def test_the_views_differ_and_the_first_is_the_plain_middle():
    reduced = reduce(draw_lesion(150, 200, seed=3))
    shown = views(reduced)
    middle = reduced.crop((25, 0, 175, 150))
    enlarged = np.asarray(middle.resize((VIEW_SIDE, VIEW_SIDE), Image.Resampling.BILINEAR))
    assert np.allclose(shown[0][2:-2, 2:-2], enlarged[2:-2, 2:-2], atol=1)
    for one in range(len(VIEWS)):
        for other in range(one):
            assert np.abs(shown[one] - shown[other]).mean() > 1


SIZES = [(200, 150), (150, 200), (150, 150), (230, 150)]


@pytest.mark.parametrize("size", SIZES)
def test_what_the_views_say_of_a_place_comes_back_to_that_place(size):
    width, height = size
    ramp = np.add.outer(np.arange(height) * 0.6, np.arange(width) * 0.4)
    picture = Image.fromarray(np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8))
    halves = views(picture)[..., 0].reshape(len(VIEWS), VIEW_SIDE // 2, 2, VIEW_SIDE // 2, 2)
    found = masks_on_frame(halves.mean(axis=(2, 4)), size)
    looked_at = found > 0
    assert looked_at.mean() > 0.85
    assert np.abs(found - ramp)[looked_at].mean() < 1.5


@pytest.mark.parametrize("size", SIZES)
def test_no_evidence_is_lost_on_its_way_to_the_image(size):
    evidence = np.random.default_rng(2).normal(size=(len(VIEWS), 6, 6, 7)).astype(np.float32)
    grid = evidence_on_frame(evidence, size)
    assert grid.shape == (-(-size[1] // EVIDENCE_CELL), -(-size[0] // EVIDENCE_CELL), 7)
    assert np.allclose(grid.sum(axis=(0, 1)), evidence.mean(axis=(0, 1, 2)), atol=1e-5)


def test_evidence_lies_where_the_views_saw_it():
    corner = np.zeros((len(VIEWS), 6, 6, 1), np.float32)
    corner[0, 0, 0] = 36 * len(VIEWS)
    grid = evidence_on_frame(corner, (200, 150))[..., 0]
    rows, columns = np.nonzero(grid)
    assert set(rows) == {0, 1, 2}
    assert set(columns) == {2, 3, 4}  # the first view starts 25 pixels from the left
    assert grid.sum() == pytest.approx(1)
