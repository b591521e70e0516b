"""What is turned away by its pixels alone."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ml.quality import complaint, cut_off, lesion_complaint
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


def disc(row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[0:150, 0:200]
    return np.hypot(rows - row, columns - column) <= radius


def seen(mask: np.ndarray, lit: np.ndarray | None = None) -> NotAssessable | None:
    """What is said of brown skin with a lesion there, all white where it is lit."""
    pixels = np.full((150, 200, 3), (190, 140, 120), np.uint8)
    pixels[mask] = (90, 60, 50)
    if lit is not None:
        pixels[lit] = 255
    return lesion_complaint(Image.fromarray(pixels), mask)


def test_how_the_lesion_is_seen_has_its_reasons():
    assert seen(disc(75, 100, 40)) is None
    assert seen(disc(75, 100, 3)) is NotAssessable.LESION_TOO_SMALL
    assert seen(np.zeros((150, 200), bool)) is NotAssessable.LESION_TOO_SMALL
    assert seen(np.ones((150, 200), bool)) is NotAssessable.LESION_CUT_OFF
    assert seen(disc(75, 100, 40), lit=disc(70, 95, 14)) is NotAssessable.GLARE
    # A reflection on the skin beside it hides nothing, nor does a pinpoint.
    assert seen(disc(75, 100, 40), lit=disc(20, 20, 14)) is None
    assert seen(disc(75, 100, 40), lit=disc(70, 95, 3)) is None


def test_a_lesion_that_leaves_the_picture_on_one_side_can_be_read():
    assert cut_off(disc(75, 100, 40)) == 0
    assert 0.2 < cut_off(disc(75, 0, 60)) < 0.5
    assert seen(disc(75, 0, 60)) is None
    assert cut_off(np.ones((150, 200), bool)) == 1
