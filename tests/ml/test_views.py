"""The views of an image that the network sees."""

import numpy as np
import pytest
from PIL import Image

from ml.inference.views import (
    EVIDENCE_CELL,
    SHORT_SIDE,
    VIEW_SIDE,
    VIEWS,
    Box,
    evidence_of_part,
    evidence_on_frame,
    mask_of_part,
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


PARTS = [Box(0.5, 0.5, 1.0, 1.0), Box(0.0, 0.0, 0.3, 0.4), Box(0.13, 0.27, 0.61, 0.93)]


@pytest.mark.parametrize("box", PARTS)
def test_a_parts_evidence_lies_in_the_part_and_none_of_it_is_lost(box):
    own = (170, 150)
    evidence = np.random.default_rng(3).normal(size=(15, 17, 7))
    laid = evidence_of_part(evidence, box, own, (200, 150))
    assert laid.shape == (15, 20, 7)
    assert np.allclose(laid.sum(axis=(0, 1)), evidence.sum(axis=(0, 1)))
    rows, columns, _ = np.nonzero(laid)
    assert rows.min() == int(box.top * 15)
    assert columns.min() == int(box.left * 20)
    assert rows.max() == int(np.ceil(box.bottom * 15)) - 1
    assert columns.max() == int(np.ceil(box.right * 20)) - 1


@pytest.mark.parametrize("box", PARTS)
def test_a_parts_mask_lies_in_the_part(box):
    laid = mask_of_part(np.ones((150, 170), np.float32), box, (200, 150))
    assert laid.shape == (150, 200)
    assert (laid[box.on(150, 200)] == 1).all()
    assert laid.sum() == laid[box.on(150, 200)].size
