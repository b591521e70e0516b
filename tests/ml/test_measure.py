"""Measurements of synthetic lesions of known size and shape."""

import cv2
import numpy as np
import pytest

from ml.lesion.colours import COLOURS, PRESENT, present
from ml.lesion.measure import Measures, NotMeasurable, largest_part, measure

SIZE = (342, 512)


def grid(angle: float):
    """x and y from the centre of the frame, turned by an angle in degrees."""
    height, width = SIZE
    y, x = np.mgrid[0:height, 0:width].astype(float)
    x, y, turn = x - width / 2 + 0.3, y - height / 2 - 0.2, np.radians(angle)
    return x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)


def ellipse(a: float, b: float, angle: float = 0.0):
    u, v = grid(angle)
    return (u / a) ** 2 + (v / b) ** 2 <= 1


def reach(around):
    """The extent of a blob of radius 1 in each direction."""
    waves = 0.15 * np.cos(3 * around) + 0.1 * np.sin(2 * around) + 0.06 * np.cos(7 * around + 1)
    return 1 + waves


def blob(radius: float, angle: float = 0.0):
    u, v = grid(angle)
    return np.hypot(u, v) <= radius * reach(np.arctan2(v, u))


def skin(mask, angle: float = 0.0, one_side: tuple[int, ...] = (150, 100, 80)):
    """Grainy skin with the lesion painted on it; one half of it may have another colour."""
    rng = np.random.default_rng(0)
    pixels = np.clip(np.array([224, 184, 165]) + rng.normal(0, 5, (*SIZE, 3)), 0, 255)
    pixels[mask] = (150, 100, 80)
    pixels[mask & (grid(angle)[0] > 0)] = one_side
    return pixels.astype(np.uint8)


@pytest.mark.parametrize(("a", "b"), [(100, 60), (40, 20), (60, 60), (16, 12)])
@pytest.mark.parametrize("angle", [0, 17, 45, 80])
def test_the_size_of_an_ellipse(a, b, angle):
    mask = ellipse(a, b, angle)
    found = measure(skin(mask), mask)
    # Ramanujan 1914: the circumference of an ellipse.
    around = np.pi * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b)))
    assert found.area_px == pytest.approx(np.pi * a * b, rel=0.05)
    assert found.longest_diameter_px == pytest.approx(2 * a, rel=0.05)
    assert found.shortest_diameter_px == pytest.approx(2 * b, rel=0.05)
    assert found.perimeter_px == pytest.approx(around, rel=0.05)
    assert found.area_share == pytest.approx(found.area_px / mask.size)
    assert found.asymmetry_shape < 0.05


@pytest.mark.parametrize("radius", [20, 50, 100])
@pytest.mark.parametrize("angle", [0, 25, 70])
def test_the_size_of_a_blob(radius, angle):
    """Compared with its own equation, in polar coordinates."""
    around = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    far = reach(around)
    corners = np.stack([far * np.cos(around), far * np.sin(around)])
    turns = np.linspace(0, np.pi, 720, endpoint=False)
    widths = np.ptp(np.stack([np.cos(turns), np.sin(turns)], axis=1) @ corners, axis=1)
    mask = blob(radius, angle)
    found = measure(skin(mask), mask)
    assert found.area_px == pytest.approx(radius**2 * np.mean(far**2) * np.pi, rel=0.05)
    assert found.longest_diameter_px == pytest.approx(radius * widths.max(), rel=0.05)
    assert found.shortest_diameter_px == pytest.approx(radius * widths.min(), rel=0.05)


@pytest.mark.parametrize("radius", [30, 90])
@pytest.mark.parametrize("angle", [10, 33, 45, 70, 90, 200])
def test_turning_a_lesion_changes_nothing(radius, angle):
    """Within 5 % of each figure."""
    dark = (80, 50, 40)
    upright = measure(skin(blob(radius), 0, dark), blob(radius))
    turned = measure(skin(blob(radius, angle), angle, dark), blob(radius, angle))
    for name in (
        *("asymmetry_shape", "asymmetry_colour", "border_irregularity", "colour_variegation"),
        *("area_px", "longest_diameter_px", "shortest_diameter_px", "perimeter_px"),
    ):
        assert getattr(turned, name) == pytest.approx(getattr(upright, name), rel=0.05), name


def test_the_same_in_the_same_out():
    mask = blob(60)
    first, second = (measure(skin(mask), mask) for _ in range(2))
    assert first == second


def test_shape_and_colour_are_told_apart():
    plain, ragged = measure(skin(ellipse(60, 50)), ellipse(60, 50)), blob(60)
    assert measure(skin(ragged), ragged).asymmetry_shape > 3 * plain.asymmetry_shape
    assert measure(skin(ragged), ragged).border_irregularity > plain.border_irregularity + 0.1
    half_dark = measure(skin(ellipse(60, 50), 0, (80, 50, 40)), ellipse(60, 50))
    assert half_dark.asymmetry_shape == pytest.approx(plain.asymmetry_shape, abs=0.01)
    assert half_dark.asymmetry_colour > plain.asymmetry_colour + 5
    assert half_dark.colour_variegation > plain.colour_variegation + 5


@pytest.mark.parametrize(
    ("rgb", "colour"),
    [
        ((20, 16, 16), "black"),
        ((70, 42, 34), "dark_brown"),
        ((160, 112, 84), "light_brown"),
        ((208, 92, 92), "red"),
        ((112, 118, 132), "blue_grey"),
        ((242, 232, 228), "white"),
    ],
)
def test_each_colour_by_its_name(rgb, colour):
    mask = ellipse(60, 50)
    found = measure(skin(mask, 0, rgb), mask).colours
    assert list(found) == list(COLOURS)
    assert found[colour] == pytest.approx(0.5, abs=0.12) or colour == "light_brown"
    assert colour in present(found)
    assert set(present(found)) <= {colour, "light_brown"}


def test_what_looks_like_skin_has_no_colour():
    mask = ellipse(60, 50)
    pixels = skin(ellipse(0.1, 0.1))
    assert sum(measure(pixels, mask).colours.values()) < PRESENT


def test_what_cannot_be_measured_says_why():
    for mask in (np.zeros(SIZE, bool), ellipse(3, 3), np.ones(SIZE, bool)):
        with pytest.raises(NotMeasurable, match=r"\.$"):
            measure(skin(mask), mask)
    with pytest.raises(ValueError, match="does not fit"):
        measure(np.zeros((10, 10, 3), np.uint8), np.zeros((9, 10), bool))


def test_a_lesion_cut_off_by_the_frame_is_marked():
    whole, cut = ellipse(60, 50), np.roll(ellipse(60, 50), 230, axis=1)
    cut[:, :200] = False
    assert not measure(skin(whole), whole).touches_border
    assert measure(skin(cut), cut).touches_border


def test_only_the_largest_part_counts_and_holes_are_filled():
    mask = ellipse(60, 50)
    with_hole = mask & ~ellipse(10, 10)
    with_speck = mask.copy()
    with_speck[5:12, 5:12] = True
    assert np.array_equal(largest_part(with_hole), mask)
    assert np.array_equal(largest_part(with_speck), mask)


def test_real_lesions_are_measured(ham10000):
    files = sorted((ham10000 / "images_200x150").glob("*.jpg"))[:40]
    found: list[Measures] = []
    for file in files:
        mask = cv2.imread(str(ham10000 / "masks" / f"{file.stem}_segmentation.png"), 0)
        pixels = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        small = cv2.resize(mask, pixels.shape[1::-1], interpolation=cv2.INTER_AREA) > 127
        found.append(measure(pixels, small))
    for one in found:
        assert np.isfinite([*one.colours.values(), *one.mean_lab, one.asymmetry_colour]).all()
    assert 1.0 <= np.median([one.border_irregularity for one in found]) < 2.0
    assert np.median([len(present(one.colours)) for one in found]) in (1, 2, 3)
