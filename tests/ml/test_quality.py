"""Faults of a picture, from its pixels alone."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ml.inference.quality import LEAST_COLOUR, colour, cut_off, of_lesion, of_picture
from ml.inference.views import reduce
from ml.types import NotAssessable
from screening.images import synthetic
from tests.ml.conftest import draw_lesion


def told(pixels: np.ndarray) -> tuple[NotAssessable, ...]:
    return of_picture(pixels, reduce(pixels))


def spot() -> np.ndarray:
    """A synthetic lesion with the colours of skin and pigment."""
    return np.asarray(synthetic.draw_lesion(dark_side=0.5))


def grey(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))


def blurred(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(40)))


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (draw_lesion(90, 120), NotAssessable.TOO_SMALL),
        (draw_lesion() // 8, NotAssessable.TOO_DARK),
        (255 - draw_lesion() // 20, NotAssessable.TOO_BRIGHT),
        (draw_lesion() // 30 + 126, NotAssessable.LOW_CONTRAST),
        (blurred(draw_lesion()), NotAssessable.BLURRED),
        (grey(draw_lesion()), NotAssessable.NO_COLOUR),
    ],
)
def test_each_fault_has_its_reason_and_comes_first(pixels, reason):
    assert told(pixels)[0] is reason


def test_a_good_picture_has_none():
    assert told(draw_lesion()) == told(draw_lesion(150, 200)) == ()


@pytest.mark.parametrize("tone", [(1, 1, 1), (1.0, 0.92, 0.78), (0.9, 1.0, 1.1)])
@pytest.mark.parametrize("gamma", [0.8, 1.0, 1.3])
@pytest.mark.parametrize("quality", [40, 90])
def test_a_grey_picture_has_no_colour_however_it_is_toned_and_stored(tone, gamma, quality):
    light = (grey(spot()) / 255.0) ** gamma
    toned = Image.fromarray(np.clip(255 * light * tone, 0, 255).astype(np.uint8))
    stored = BytesIO()
    toned.save(stored, "JPEG", quality=quality)
    assert NotAssessable.NO_COLOUR in told(np.asarray(Image.open(stored).convert("RGB")))


@pytest.mark.parametrize("kept", [0.0, 0.4, 0.7, 1.0])
def test_a_pale_picture_still_has_its_colours(kept):
    picture = spot()
    pale = grey(picture) + kept * (picture.astype(float) - grey(picture))
    assert (colour(reduce(pale.astype(np.uint8))) >= LEAST_COLOUR) == (kept > 0)


@pytest.mark.parametrize(("radius", "is_fault"), [(0, False), (1, False), (2, True), (4, True)])
def test_a_picture_out_of_focus_is_blurred(radius, is_fault):
    """radius: of a Gaussian blur, in pixels of a picture with 150 on its shorter side."""
    picture = Image.fromarray(spot())
    blurring = ImageFilter.GaussianBlur(radius * picture.height / 150)
    out_of_focus = np.asarray(picture.filter(blurring))
    assert (NotAssessable.BLURRED in told(out_of_focus)) == is_fault


@pytest.mark.parametrize(("left", "is_fault"), [(1.0, False), (0.56, False), (0.53, True)])
def test_a_picture_without_dark_places_is_too_bright(left, is_fault):
    """left: what remains of the distance to white."""
    pale = (255 - left * (255 - spot().astype(float))).astype(np.uint8)
    assert (NotAssessable.TOO_BRIGHT in told(pale)) == is_fault


@pytest.mark.parametrize(("left", "is_fault"), [(1.0, False), (0.7, False), (0.5, True)])
def test_a_picture_without_bright_places_is_too_dark(left, is_fault):
    """left: the light that remains."""
    assert (NotAssessable.TOO_DARK in told((left * spot()).astype(np.uint8))) == is_fault


def test_a_dark_round_border_is_no_fault(lesion):
    rows, columns = np.mgrid[0:450, 0:600]
    lesion[np.hypot(rows - 225, columns - 300) > 215] = 0
    assert told(lesion) == ()


def disc(row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[0:150, 0:200]
    return np.hypot(rows - row, columns - column) <= radius


def seen(mask: np.ndarray, lit: np.ndarray | None = None) -> tuple[NotAssessable, ...]:
    """The faults of brown skin with a lesion there, all white where it is lit."""
    pixels = np.full((150, 200, 3), (190, 140, 120), np.uint8)
    pixels[mask] = (90, 60, 50)
    if lit is not None:
        pixels[lit] = 255
    return of_lesion(Image.fromarray(pixels), mask)


def test_how_the_lesion_is_seen_has_its_reasons():
    assert seen(disc(75, 100, 40)) == ()
    assert seen(disc(75, 100, 3)) == (NotAssessable.LESION_TOO_SMALL,)
    assert seen(np.zeros((150, 200), bool)) == (NotAssessable.LESION_TOO_SMALL,)
    assert seen(np.ones((150, 200), bool)) == (NotAssessable.LESION_CUT_OFF,)
    assert seen(disc(75, 100, 40), lit=disc(70, 95, 14)) == (NotAssessable.GLARE,)
    # A reflection on the skin beside it hides nothing, nor does a pinpoint on it.
    assert seen(disc(75, 100, 40), lit=disc(20, 20, 14)) == ()
    assert seen(disc(75, 100, 40), lit=disc(70, 95, 3)) == ()


def test_a_lesion_that_leaves_the_picture_on_one_side_can_be_read():
    assert cut_off(disc(75, 100, 40)) == 0
    assert 0.2 < cut_off(disc(75, 0, 60)) < 0.5
    assert seen(disc(75, 0, 60)) == ()
    assert cut_off(np.ones((150, 200), bool)) == 1
