"""Degraded versions of a picture, each in its own way."""

import numpy as np
import pytest
from PIL import Image

from ml.evaluation import degraded
from ml.inference import quality
from ml.inference.views import reduce
from ml.types import NotAssessable
from screening.images import synthetic

FOUND = {
    "blurred by 12": NotAssessable.BLURRED,
    "50 pixels": NotAssessable.TOO_SMALL,
    "dark, 10% left": NotAssessable.TOO_DARK,
    "pale, 10% left": NotAssessable.TOO_BRIGHT,
    "without colour": NotAssessable.NO_COLOUR,
}


def spoilt(name: str) -> np.ndarray:
    return np.asarray(degraded.kinds()[name](synthetic.draw_lesion(size=(256, 192))))


@pytest.mark.parametrize("name", degraded.kinds())
def test_each_is_an_image_and_only_the_first_is_as_it_was(name):
    pixels = spoilt(name)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    same = np.array_equal(pixels, np.asarray(synthetic.draw_lesion(size=(256, 192))))
    assert same == (name == "as it is")


@pytest.mark.parametrize(("name", "fault"), FOUND.items())
def test_it_is_spoilt_as_it_says(name, fault):
    pixels = spoilt(name)
    assert fault in quality.of_picture(pixels, reduce(pixels))
    assert Image.fromarray(pixels).mode == "RGB"
