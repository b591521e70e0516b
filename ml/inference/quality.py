"""Faults of a picture and of the view of its lesion, by limits that good images pass."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from ml.types import NotAssessable

LEAST_COLOUR = 0.65
"""Of 255: how far the channels deviate from being one function of brightness, root mean square over
patches of COLOUR_PATCH pixels. Grey and toned pictures deviate only by JPEG artefacts and noise.
"""
COLOUR_PATCH = 10

MIN_SIDE = 100
"""Pixels of the shorter side as received."""
DARKEST = 45.0
"""Upper quartile of the luma, 0..255: a dark round border alone does not make an image dark."""
BRIGHTEST = 240.0
"""Lower quartile of the luma."""
PALEST = 135.0
"""The 2nd percentile of each pixel's darkest channel: a picture without dark places is washed out.
0.8 % of the images of the tune parts are.
"""
DIMMEST = 130.0
"""The 98th percentile of each pixel's brightest channel: a picture without bright places is
underexposed. Dark skin seen through a dermatoscope has bright places.
"""
LEAST_CONTRAST = 12.0
"""Luma between the 2nd and the 98th percentile."""
LEAST_DETAIL = 1.2
"""Mean absolute Laplacian of the luma of the reduced image, after a 2x2 mean that suppresses
noise.
"""
MOST_SMOOTH = 0.65
"""What two more passes of a small blur leave of the detail (`smoothness`). Blur by 1 pixel of the
reduced image stays below it, blur by 2 pixels does not.
"""

BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16

WHITE = 250
"""All three channels at or above this: overexposed by a reflection."""
MOST_GLARE = 0.05
"""Share of the lesion's pixels. None of HAM10000's training images comes near it."""
SMALLEST_LESION = 0.003
"""Share of the image. The smallest lesion drawn in HAM10000's training images has 0.0038."""
MOST_CUT_OFF = 0.6
"""Share of the lesion's outline that lies on the image's border; 0.7 % of HAM10000's have more."""


def of_picture(original: npt.NDArray[np.uint8], reduced: Image.Image) -> tuple[NotAssessable, ...]:
    """Faults of the picture, most serious first.

    original: [h, w, 3] as received; reduced: the result of `ml.inference.views.reduce`.
    """
    luma = np.asarray(reduced.convert("L"), np.float32)
    low, lower, upper, high = np.percentile(luma, [2, 25, 75, 98])
    red, green, blue = (np.asarray(channel) for channel in reduced.split())
    darkest = np.percentile(np.minimum(np.minimum(red, green), blue), 2)
    brightest = np.percentile(np.maximum(np.maximum(red, green), blue), 98)
    wrong = {
        NotAssessable.TOO_SMALL: min(original.shape[:2]) < MIN_SIDE,
        NotAssessable.TOO_DARK: upper < DARKEST or brightest < DIMMEST,
        NotAssessable.TOO_BRIGHT: lower > BRIGHTEST or darkest > PALEST,
        NotAssessable.LOW_CONTRAST: high - low < LEAST_CONTRAST,
        NotAssessable.BLURRED: detail(luma) < LEAST_DETAIL or smoothness(luma) > MOST_SMOOTH,
        NotAssessable.NO_COLOUR: colour(reduced) < LEAST_COLOUR,
    }
    return tuple(fault for fault, found in wrong.items() if found)


def of_lesion(reduced: Image.Image, mask: npt.NDArray[np.bool_]) -> tuple[NotAssessable, ...]:
    """Faults in the view of the lesion.

    mask: bool [h, w] of the reduced image, the pixels that belong to the lesion.
    """
    if mask.mean() < SMALLEST_LESION:
        return (NotAssessable.LESION_TOO_SMALL,)
    wrong = {
        NotAssessable.GLARE: (np.asarray(reduced)[mask].min(axis=1) >= WHITE).mean() > MOST_GLARE,
        NotAssessable.LESION_CUT_OFF: cut_off(mask) > MOST_CUT_OFF,
    }
    return tuple(fault for fault, found in wrong.items() if found)


def colour(reduced: Image.Image) -> float:
    """The part of a picture's colours that its brightness does not explain, 0..255, root mean
    square.

    In a picture without colour, toned or not, each channel is a function of brightness, fitted here
    by a fifth-degree polynomial, over patches because noise and JPEG artefacts differ by pixel.
    """
    patches = _patches(np.asarray(reduced, np.float64), COLOUR_PATCH).reshape(-1, 3)
    brightness = patches.mean(axis=1)
    spread = max(float(brightness.std()), 1e-9)
    powers = np.vander((brightness - brightness.mean()) / spread, 6)
    curves = np.linalg.lstsq(powers, patches, rcond=None)[0]
    return float(np.sqrt(np.mean((patches - powers @ curves) ** 2)))


def _patches(values: npt.NDArray[np.floating], side: int) -> npt.NDArray[np.floating]:
    """Means over squares: [h, w, ...] to [h // side, w // side, ...]."""
    rows, columns = values.shape[0] // side, values.shape[1] // side
    whole = values[: rows * side, : columns * side]
    means: npt.NDArray[np.floating] = whole.reshape(
        rows, side, columns, side, *values.shape[2:]
    ).mean(axis=(1, 3))
    return means


def cut_off(mask: npt.NDArray[np.bool_]) -> float:
    """The share of the mask's outermost pixels that lie on the image's border."""
    around = np.pad(mask, 1)
    inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    outline = mask & ~inner
    on_border = outline.sum() - outline[1:-1, 1:-1].sum()
    return float(on_border / max(outline.sum(), 1))


def detail(luma: npt.NDArray[np.float32]) -> float:
    """Mean absolute Laplacian of luma [h, w], averaged over 2x2 pixels first."""
    return _laplacian(_patches(luma, 2))


def smoothness(luma: npt.NDArray[np.float32]) -> float:
    """The share of the mean absolute Laplacian of luma [h, w] that outlasts two more passes of a
    5x5 binomial blur, after a first that suppresses noise. Nears 1 in a picture out of focus,
    whatever its contrast.
    """
    once = _blurred(luma)
    return _laplacian(_blurred(_blurred(once))) / max(_laplacian(once), 1e-6)


def _laplacian(values: npt.NDArray[np.floating]) -> float:
    middle = values[1:-1, 1:-1]
    around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    return float(np.abs(around - 4 * middle).mean())


def _blurred(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Without the outer two rows and columns: [h, w] to [h - 4, w - 4]."""
    made = cv2.sepFilter2D(values, cv2.CV_64F, BINOMIAL, BINOMIAL)
    return made[2:-2, 2:-2]
