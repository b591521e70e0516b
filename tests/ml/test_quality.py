"""What is turned away by its pixels alone."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ml.quality import complaint
from ml.types import NotAssessable
from ml.views import reduce
from tests.ml.conftest import draw_lesion


def told(pixels: np.ndarray) -> NotAssessable | None:
    return complaint(pixels, reduce(pixels))


def blurred(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(40)))


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (draw_lesion(), None),
        (draw_lesion(150, 200), None),
        (draw_lesion(90, 120), NotAssessable.TOO_SMALL),
        (draw_lesion() // 8, NotAssessable.TOO_DARK),
        (255 - draw_lesion() // 20, NotAssessable.TOO_BRIGHT),
        (draw_lesion() // 30 + 120, NotAssessable.LOW_CONTRAST),
        (blurred(draw_lesion()), NotAssessable.BLURRED),
    ],
)
def test_each_fault_has_its_reason(pixels, reason):
    assert told(pixels) is reason


def test_a_dark_round_border_is_no_fault(lesion):
    rows, columns = np.mgrid[0:450, 0:600]
    lesion[np.hypot(rows - 225, columns - 300) > 215] = 0
    assert told(lesion) is None
