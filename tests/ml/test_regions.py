"""A second lesion is found, and the surroundings of a single one are not mistaken for one."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from ml.inference import regions
from ml.inference.views import reduce
from screening.images import synthetic


def disc(row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[0:150, 0:200]
    return np.hypot(rows - row, columns - column) <= radius


LESION = disc(75, 100, 33)


def drawn(seed: int = 0) -> Image.Image:
    """A synthetic lesion, 200 x 150, without the words that mark it as synthetic."""
    return reduce(np.asarray(synthetic.draw_lesion(seed=seed))[:420])


def with_spot(row: float, column: float, radius: float, colour=(90, 50, 40)) -> Image.Image:
    pixels = np.array(drawn().resize((200, 150)))
    pixels[disc(row, column, radius)] = colour
    return Image.fromarray(pixels)


def with_inset(left: int, top: int, width: int = 67, height: int = 50) -> Image.Image:
    picture = drawn().resize((200, 150))
    other = drawn(seed=5).resize((width, height)).point(lambda value: round(0.85 * value))
    picture.paste(other, (left, top))
    return picture


def holds(box: regions.Box, row: float, column: float) -> bool:
    return box.top <= row / 150 <= box.bottom and box.left <= column / 200 <= box.right


@pytest.mark.parametrize("seed", range(5))
def test_one_lesion_is_one(seed):
    assert regions.others(drawn(seed).resize((200, 150)), LESION) == []


@pytest.mark.parametrize(("row", "column"), [(25, 30), (25, 170), (125, 30), (75, 178)])
def test_a_second_spot_is_found_where_it_is(row, column):
    (box,) = regions.others(with_spot(row, column, 12), LESION)
    assert holds(box, row, column)
    assert 0 <= box.left < box.right <= 1
    assert 0 <= box.top < box.bottom <= 1


@pytest.mark.parametrize(("left", "top"), [(0, 0), (133, 0), (0, 100), (133, 100), (10, 90)])
def test_a_picture_within_the_picture_is_found_whole(left, top):
    (box,) = regions.others(with_inset(left, top), LESION)
    found = [box.left * 200, box.top * 150, box.right * 200, box.bottom * 150]
    assert found == pytest.approx([left, top, left + 67, top + 50], abs=2)


def test_a_picture_within_the_picture_may_have_faint_sides_if_all_are_inside():
    left, top = 120, 90
    picture = with_inset(left, top)
    skin = drawn().resize((200, 150)).crop((left, top, left + 12, top + 24))
    picture.paste(skin, (left, top))  # about half of its left side is gone

    (box,) = regions.others(picture, LESION)

    found = [box.left * 200, box.top * 150, box.right * 200, box.bottom * 150]
    assert found == pytest.approx([left, top, left + 67, top + 50], abs=2)


def test_two_pictures_side_by_side_are_two():
    both = Image.new("RGB", (200, 150))
    both.paste(drawn().crop((50, 0, 150, 150)), (0, 0))
    both.paste(drawn(seed=5).crop((50, 0, 150, 150)), (100, 0))
    assert len(regions.others(both, disc(75, 50, 33))) == 1


def test_what_is_too_small_pale_long_or_blue_is_no_second_lesion():
    assert regions.others(with_spot(25, 30, 4), LESION) == []
    assert regions.others(with_spot(25, 30, 12, colour=(190, 145, 125)), LESION) == []
    assert regions.others(with_spot(25, 30, 12, colour=(40, 40, 130)), LESION) == []
    ruler = with_spot(25, 30, 1)
    ImageDraw.Draw(ruler).line((5, 12, 190, 12), fill=(20, 20, 20), width=5)
    assert regions.others(ruler, LESION) == []


def test_the_dark_rim_of_a_dermatoscope_is_no_second_lesion():
    rim = np.array(drawn().resize((200, 150)))
    rim[~disc(75, 100, 95)] = 0
    assert regions.others(Image.fromarray(rim), LESION) == []


@pytest.mark.parametrize(("row", "column"), [(25, 30), (120, 170)])
def test_a_second_spot_with_a_soft_edge_is_found(row, column):
    spot = Image.fromarray((255 * disc(row, column, 14)).astype(np.uint8))
    picture = drawn().resize((200, 150))
    picture.paste((70, 35, 30), (0, 0), spot.filter(ImageFilter.GaussianBlur(4)))
    (box,) = regions.others(picture, LESION)
    assert holds(box, row, column)


def test_a_shadow_without_an_edge_is_no_second_lesion():
    picture = drawn().resize((200, 150))
    spot = Image.fromarray((60 * disc(25, 30, 20)).astype(np.uint8))
    picture.paste((70, 35, 30), (0, 0), spot.filter(ImageFilter.GaussianBlur(15)))
    assert regions.others(picture, LESION) == []


def test_a_spot_that_the_mask_took_in_is_found_off_its_centre():
    brown = np.full((150, 200, 3), (165, 115, 90), np.uint8)
    filling = disc(75, 100, 85)
    assert regions.cores(Image.fromarray(brown), filling) == []
    for row, column, found in ((40, 160, 1), (75, 100, 0)):
        pixels = brown.copy()
        pixels[disc(row, column, 14)] = (70, 35, 30)
        boxes = regions.cores(Image.fromarray(pixels), filling)
        assert len(boxes) == found
        assert all(holds(box, row, column) for box in boxes)


def test_at_most_two_others_are_read_the_largest_first():
    pixels = np.array(with_spot(25, 30, 9))
    for row, column, radius in ((25, 170, 14), (125, 170, 11)):
        pixels[disc(row, column, radius)] = (90, 50, 40)
    first, second = regions.others(Image.fromarray(pixels), LESION)
    assert holds(first, 25, 170)
    assert holds(second, 125, 170)


def test_the_main_part_of_a_mask_is_its_largest():
    both = disc(75, 60, 30) | disc(20, 180, 8)
    assert (regions.main(both) == disc(75, 60, 30)).all()
    nothing = np.zeros((150, 200), bool)
    assert not regions.main(nothing).any()


def test_a_box_is_cut_out_at_any_size():
    pixels = np.arange(300 * 400 * 3, dtype=np.uint32).reshape(300, 400, 3).astype(np.uint8)
    half = regions.Box(0.5, 0.0, 1.0, 0.5).of(pixels)
    assert (half == pixels[:150, 200:]).all()
