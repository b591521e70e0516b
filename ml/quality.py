"""Can anything be read from these pixels at all? Simple limits that good images pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml.types import NotAssessable

MIN_SIDE = 100
"""Pixels of the shorter side as it came in."""
DARKEST = 45.0
"""Upper quartile of the luma, 0..255: a dark round border alone does not make an image dark."""
BRIGHTEST = 240.0
"""Lower quartile of the luma."""
LEAST_CONTRAST = 12.0
"""Luma between the 2nd and the 98th percentile."""
LEAST_DETAIL = 1.2
"""Mean absolute Laplacian of the luma of the reduced image, after a 2x2 mean against noise."""

WHITE = 250
"""All three channels from here on: burnt out, by a reflection."""
MOST_GLARE = 0.05
"""Share of the lesion's pixels. Of HAM10000's training images, none comes near it."""
SMALLEST_LESION = 0.003
"""Share of the image. The smallest lesion drawn in HAM10000's training images has 0.0038."""
MOST_CUT_OFF = 0.6
"""Share of the lesion's outline that lies on the image's border; 0.7 % of HAM10000's have more."""


def complaint(original: npt.NDArray[np.uint8], reduced: Image.Image) -> NotAssessable | None:
    """The first reason not to read the image, or None.

    original: [h, w, 3] as it came in; reduced: what `ml.views.reduce` made of it.
    """
    luma = np.asarray(reduced.convert("L"), np.float32)
    low, lower, upper, high = np.percentile(luma, [2, 25, 75, 98])
    if min(original.shape[:2]) < MIN_SIDE:
        return NotAssessable.TOO_SMALL
    if upper < DARKEST:
        return NotAssessable.TOO_DARK
    if lower > BRIGHTEST:
        return NotAssessable.TOO_BRIGHT
    if high - low < LEAST_CONTRAST:
        return NotAssessable.LOW_CONTRAST
    if detail(luma) < LEAST_DETAIL:
        return NotAssessable.BLURRED
    return None


def lesion_complaint(reduced: Image.Image, mask: npt.NDArray[np.bool_]) -> NotAssessable | None:
    """The first reason that lies in how the lesion is seen, or None.

    mask: bool [h, w] of the reduced image, the pixels that belong to the lesion.
    """
    if mask.mean() < SMALLEST_LESION:
        return NotAssessable.LESION_TOO_SMALL
    if (np.asarray(reduced)[mask].min(axis=1) >= WHITE).mean() > MOST_GLARE:
        return NotAssessable.GLARE
    if cut_off(mask) > MOST_CUT_OFF:
        return NotAssessable.LESION_CUT_OFF
    return None


def cut_off(mask: npt.NDArray[np.bool_]) -> float:
    """Of the mask's outermost pixels, the share that lies on the image's border."""
    around = np.pad(mask, 1)
    inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    outline = mask & ~inner
    on_border = outline.sum() - outline[1:-1, 1:-1].sum()
    return float(on_border / max(outline.sum(), 1))


def detail(luma: npt.NDArray[np.float32]) -> float:
    """Mean absolute Laplacian of luma [h, w], averaged over 2x2 pixels first."""
    height, width = luma.shape[0] // 2 * 2, luma.shape[1] // 2 * 2
    mean = luma[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    middle = mean[1:-1, 1:-1]
    around = mean[:-2, 1:-1] + mean[2:, 1:-1] + mean[1:-1, :-2] + mean[1:-1, 2:]
    return float(np.abs(around - 4 * middle).mean())
