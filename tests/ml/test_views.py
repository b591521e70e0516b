"""What the network is shown of an image."""

import numpy as np
import pytest
from PIL import Image

from ml.views import SHORT_SIDE, VIEW_SIDE, VIEWS, reduce, views
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
