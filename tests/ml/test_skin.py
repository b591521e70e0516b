"""The tone of the skin around a lesion."""

import numpy as np
import pytest

from ml.lesion import skin

# sRGB and its CIE L*a*b* (D65), computed by hand from the CIE formulae.
KNOWN = [
    ((255, 255, 255), (100.0, 0.0, 0.0)),
    ((0, 0, 0), (0.0, 0.0, 0.0)),
    ((255, 0, 0), (53.24, 80.09, 67.20)),
    ((119, 119, 119), (50.03, 0.0, 0.0)),
]


@pytest.mark.parametrize(("rgb", "expected"), KNOWN)
def test_lab(rgb, expected):
    assert skin.lab(np.array([rgb], np.uint8))[0] == pytest.approx(expected, abs=0.02)


def picture(colour, spot=(60, 30, 20)):
    pixels = np.full((150, 200, 3), colour, np.uint8)
    mask = np.zeros((150, 200), bool)
    mask[50:100, 60:140] = True
    pixels[mask] = spot
    return pixels, mask


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((250, 225, 210), "very light"),
        ((225, 180, 150), "light"),
        ((200, 155, 120), "intermediate"),
        ((180, 130, 95), "tan"),
        ((120, 80, 55), "brown"),
        ((70, 45, 30), "dark"),
    ],
)
def test_bands_from_light_to_dark(colour, name):
    assert skin.band(skin.ita(*picture(colour))) == name


def test_neither_the_lesion_nor_a_dark_corner_counts():
    pixels, mask = picture((225, 180, 150))
    plain = skin.ita(pixels, mask)
    pixels[:40, :60] = 5
    assert skin.ita(pixels, mask) == pytest.approx(plain, abs=0.5)


def test_too_little_skin_is_not_judged():
    pixels, mask = picture((225, 180, 150))
    assert skin.ita(pixels, np.ones_like(mask)) is None
    assert skin.ita(np.zeros_like(pixels), mask) is None


def test_bluish_light_tells_nothing_of_the_skin():
    assert skin.ita(*picture((180, 200, 235))) is None


def test_every_angle_has_a_band():
    assert [skin.band(angle) for angle in (90.0, -90.0)] == ["very light", "dark"]
