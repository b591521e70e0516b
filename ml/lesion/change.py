"""Changes between two images of one lesion. ``change_rules`` decides which ones matter."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ml.lesion import colours, register
from ml.lesion.skin import lab

SIDE = 400
"""The longer side, in pixels, of the frame in which two images are compared."""
DIRECTIONS = 72
FINE = 1.5
"""Pixels of the frame."""
LEAST_CONTRAST = 1.0
"""Units of L*."""

Floats = npt.NDArray[np.float64]
Grey = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Visit:
    """One image of the lesion: pixels [h, w, 3], mask [h, w]; p_malignant as read by a version."""

    pixels: Pixels
    mask: Mask
    p_malignant: float | None
    model_version: str


@dataclass(frozen=True, slots=True)
class Change:
    """Differences in numbers; None if they cannot be determined (the images are not aligned).

    growth: logarithm of the ratio of areas. one_sided: how much farther the border moved on one
    side than in the median, in radii of the lesion. focal: delta E (CIE 1976) that a twentieth of
    the lesion exceeds, beyond what all of it changed. structure: the same for the logarithm of the
    contrast of its fine pattern. gained: the share of a colour that was absent before, and its
    name. risk: difference of the logits of p_malignant; None also if two model versions read.
    before, after: the values shown for both.
    """

    growth: float | None
    one_sided: float | None
    focal: float | None
    structure: float | None
    gained: float | None
    gained_colour: str
    risk: float | None
    before: dict[str, float]
    after: dict[str, float]


def changed(
    earlier: Visit,
    later: Visit,
    matrix: npt.NDArray[np.float64] | None,
    areas_mm2: tuple[float, float] | None,
) -> Change:
    """Compare two images. matrix [2, 3]: pixels of the later to those of the earlier, or None.

    areas_mm2: if both scales are known. Their ratio takes precedence over that in the aligned
    frame, whose size depends partly on the lesion's own structure.
    """
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    risk = None
    if earlier.p_malignant is not None and later.p_malignant is not None:
        before["p_malignant"], after["p_malignant"] = earlier.p_malignant, later.p_malignant
        if earlier.model_version == later.model_version:
            risk = _logit(later.p_malignant) - _logit(earlier.p_malignant)
    growth = None
    if areas_mm2 is not None:
        before["area_mm2"], after["area_mm2"] = areas_mm2
        growth = float(np.log(areas_mm2[1] / areas_mm2[0]))
    if matrix is None:
        return Change(growth, None, None, None, None, "", risk, before, after)
    pixels, mask, moved, shape, valid = _in_one_frame(earlier, later, matrix)
    before["area_share"], after["area_share"] = float(mask.mean()), float(shape.mean())
    if growth is None:
        growth = float(np.log(max(shape.sum(), 1) / max(mask.sum(), 1)))
    focal, structure = _focal(pixels, moved, mask & shape & valid)
    colour, was, now = _gained(pixels, mask, moved, shape & valid, ~(mask | shape) & valid)
    before["colour_share"], after["colour_share"] = was, now
    sided = _one_sided(mask, shape)
    return Change(growth, sided, focal, structure, now - was, colour, risk, before, after)


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-4), 1 - 1e-4)
    return float(np.log(clipped / (1 - clipped)))


def _in_one_frame(
    earlier: Visit, later: Visit, matrix: Floats
) -> tuple[Pixels, Mask, Pixels, Mask, Mask]:
    """Earlier pixels and mask, later pixels (in the earlier's light) and mask, where both are
    visible.
    """
    height, width = earlier.mask.shape
    scale = min(1.0, SIDE / max(height, width))
    size = (round(width * scale), round(height * scale))
    pixels = cv2.resize(earlier.pixels, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(earlier.mask.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0
    smaller = matrix * scale
    moved, valid = register.warp(later.pixels, smaller, size[::-1])
    shape = cv2.warpAffine(later.mask.astype(np.uint8), smaller, size) > 0
    return pixels, mask, register.match_light(moved, pixels, valid, ~(mask | shape)), shape, valid


def _one_sided(mask: Mask, shape: Mask) -> float:
    """The border's displacement in DIRECTIONS from the earlier centre, smoothed over a quarter
    turn.
    """
    middle = np.argwhere(mask).mean(axis=0)[::-1]
    ways = (_reach(shape, middle) - _reach(mask, middle)) / np.sqrt(mask.sum() / np.pi)
    quarter = DIRECTIONS // 4
    around = np.concatenate([ways, ways[: quarter - 1]])
    smooth = np.convolve(around, np.ones(quarter) / quarter, mode="valid")
    return float(smooth.max() - np.median(ways))


def _reach(mask: Mask, middle: Floats) -> Floats:
    """[DIRECTIONS]: the number of mask pixels on a ray from the centre."""
    longest = int(np.hypot(*mask.shape))
    centre = (float(middle[0]), float(middle[1]))
    # Without the flag, memory outside the mask's frame is undefined.
    polar = cv2.warpPolar(
        mask.astype(np.uint8), (longest, DIRECTIONS), centre, longest, cv2.WARP_FILL_OUTLIERS
    )
    reach: Floats = polar.sum(axis=1).astype(np.float64)
    return reach


def _focal(pixels: Pixels, moved: Pixels, inside: Mask) -> tuple[float, float]:
    """The focal change of colour and of structure: what a twentieth of the lesion exceeds, beyond
    the overall change.

    Within both outlines, and far enough inside that no skin is blurred into it.
    """
    blur = max(1.0, 0.06 * float(np.sqrt(inside.sum() / np.pi)))
    brush = np.ones((2 * round(2 * blur) + 1,) * 2, np.uint8)
    inner = cv2.erode(inside.astype(np.uint8), brush) > 0
    if not inner.any():
        return 0.0, 0.0
    colour = [lab(cv2.GaussianBlur(picture, (0, 0), blur)) for picture in (pixels, moved)]
    contrast = [_contrast(picture, inner, blur)[..., None] for picture in (pixels, moved)]
    return _apart(colour[0], colour[1], inner), _apart(contrast[0], contrast[1], inner)


def _contrast(pixels: Pixels, inner: Mask, blur: float) -> Floats:
    """[h, w]: logarithm of the local variation of lightness, as seen from ``inner``.

    Detail finer than FINE is attributed to focus, and variation below LEAST_CONTRAST to sensor
    noise.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) * (100 / 255)
    weight = inner.astype(np.float32)
    near = np.maximum(cv2.GaussianBlur(weight, (0, 0), 2 * blur), 1e-6)

    def around(values: Grey) -> Grey:
        return cv2.GaussianBlur(values * weight, (0, 0), 2 * blur) / near

    fine = cv2.GaussianBlur(grey, (0, 0), FINE) - around(grey)
    return np.asarray(np.log(np.sqrt(around(fine * fine)) + LEAST_CONTRAST), np.float64)


def _apart(one: Floats, other: Floats, inner: Mask) -> float:
    difference = (other - one)[inner]
    apart = np.sqrt(((difference - np.median(difference, axis=0)) ** 2).sum(axis=1))
    return float(np.percentile(apart, 95))


def _gained(
    pixels: Pixels, mask: Mask, moved: Pixels, shape: Mask, around: Mask
) -> tuple[str, float, float]:
    """The colour that grew most among those absent before: its name, and its share then and now.

    The later lesion is first given the earlier one's median colour, so that one that darkened or
    faded as a whole does not count as having a new colour.
    """
    if not mask.any() or not shape.any():
        return "", 0.0, 0.0
    own, later = lab(pixels[mask]), lab(moved[shape])
    skin = colours.skin_colour(pixels, around)
    before = colours.shares(own, skin)
    after = colours.shares(later - np.median(later, axis=0) + np.median(own, axis=0), skin)
    absent = [name for name in colours.COLOURS if before[name] < colours.PRESENT]
    if not absent:
        return "", 0.0, 0.0
    name = max(absent, key=lambda colour: after[colour] - before[colour])
    return name, before[name], after[name]
