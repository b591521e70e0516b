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


def detail(luma: npt.NDArray[np.float32]) -> float:
    """Mean absolute Laplacian of luma [h, w], averaged over 2x2 pixels first."""
    height, width = luma.shape[0] // 2 * 2, luma.shape[1] // 2 * 2
    mean = luma[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    middle = mean[1:-1, 1:-1]
    around = mean[:-2, 1:-1] + mean[2:, 1:-1] + mean[1:-1, :-2] + mean[1:-1, 2:]
    return float(np.abs(around - 4 * middle).mean())
