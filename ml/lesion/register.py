"""Aligns a later image of a lesion to an earlier one, or reports that it cannot.

Candidate transforms (similarities) come from matched features and from the masks' positions, sizes
and all orientations. The best by structure is refined on the intensities and judged by the
agreement of the fine structure. Shape alone is no evidence: two different lesions are both dark
discs on light skin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

SIDE = 320
"""The longer side of the working copies, in pixels."""
LEAST_MATCHES = 6
RATIO = 0.8
"""Lowe 2004 (doi:10.1023/B:VISI.0000029664.99615.94): best match against the second best."""
SCALES = (0.5, 2.0)
LEAST_OVERLAP = 0.3
"""Share of the earlier frame that the later one must cover."""
GOOD = 0.42
"""The minimum score of an alignment; `python -m benchmarks.registration` reports what it accepts
and rejects.
"""

LEAST_SKIN = 0.05
"""Share of what both pictures show."""

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.float64]
Grey = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Alignment:
    """matrix [2, 3]: pixels of the later image to pixels of the earlier; None if it failed.

    score: 0..1, the correlation of fine structure where the images overlap. reason: why it failed.
    """

    aligned: bool
    matrix: Matrix | None
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class _Copy:
    """A working copy: structure [h, w] without illumination and vignetting, the mask, its scale."""

    grey: Pixels
    structure: Grey
    mask: Mask | None
    scale: float


def align(
    earlier: Pixels, later: Pixels, earlier_mask: Mask | None = None, later_mask: Mask | None = None
) -> Alignment:
    """Align two images: uint8 [h, w, 3] sRGB of any sizes, masks bool of their images' size.

    Deterministic. Never raises because of image content.
    """
    fixed, moving = _copy(earlier, earlier_mask), _copy(later, later_mask)
    candidates = [*_by_features(fixed, moving), *_by_masks(fixed, moving)]
    if not candidates:
        return Alignment(False, None, 0.0, "The two pictures have no structure in common.")
    scored = sorted(
        ((_agreement(fixed, moving, matrix), number) for number, matrix in enumerate(candidates)),
        reverse=True,
    )
    tried = [_refined(fixed, moving, candidates[number]) for _, number in scored[:2]]
    score, matrix = max(tried, key=lambda found: found[0])
    score = float(np.clip(score, 0, 1))
    if score < GOOD:
        return Alignment(
            False, None, score, "The two pictures show too little in common to be laid over."
        )
    return Alignment(True, between_copies(matrix, fixed.scale, moving.scale), score, "")


def warp(later: Pixels, matrix: Matrix, size: tuple[int, int]) -> tuple[Pixels, Mask]:
    """The later image in the earlier one's frame, [h, w, 3], and where it has pixels."""
    height, width = size
    warped = cv2.warpAffine(later, matrix, (width, height), flags=cv2.INTER_LINEAR)
    everywhere = np.full(later.shape[:2], 255, np.uint8)
    seen = cv2.warpAffine(everywhere, matrix, (width, height), flags=cv2.INTER_NEAREST)
    return np.asarray(warped, np.uint8), seen > 0


def match_light(moving: Pixels, fixed: Pixels, valid: Mask, skin: Mask) -> Pixels:
    """`moving` with the light and white balance of `fixed`: one gain per channel (von Kries).

    valid: where both have pixels. skin: where neither shows the lesion, whose own change must not
    count as a change of light; if that is too small, all of `valid` is used.
    """
    around = valid & skin
    if around.sum() < LEAST_SKIN * max(valid.sum(), 1):
        around = valid
    if not around.any():
        return moving
    own, other = (np.median(pixels[around], axis=0) for pixels in (moving, fixed))
    gain = np.clip(other / np.maximum(own, 1.0), 0.5, 2.0)
    return np.clip(moving * gain, 0, 255).astype(np.uint8)


def between_copies(matrix: Matrix, fixed_scale: float, moving_scale: float) -> Matrix:
    """Convert a matrix between copies of two images to one between the images themselves.

    fixed_scale, moving_scale: the copies' size relative to the images'. Pixel centres are at whole
    numbers.
    """
    linear = matrix[:, :2] * moving_scale / fixed_scale
    half = 0.5 * (matrix[:, :2] @ np.full(2, moving_scale - 1.0) - np.full(2, fixed_scale - 1.0))
    shift = (matrix[:, 2] + half) / fixed_scale
    whole: Matrix = np.column_stack([linear, shift])
    return whole


def _copy(pixels: Pixels, mask: Mask | None) -> _Copy:
    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    grey = cv2.cvtColor(cv2.resize(pixels, size, interpolation=method), cv2.COLOR_RGB2GRAY)
    values = grey.astype(np.float32)
    fine = cv2.GaussianBlur(values, (0, 0), 1.2) - cv2.GaussianBlur(values, (0, 0), 14)
    power = cv2.GaussianBlur(fine * fine, (0, 0), 28)
    small = None
    if mask is not None and mask.any():
        small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    contrasted = cv2.createCLAHE(3.0, (6, 6)).apply(grey)
    return _Copy(np.asarray(contrasted, np.uint8), fine / np.sqrt(power + 4.0), small, scale)


def _by_features(fixed: _Copy, moving: _Copy) -> Iterator[Matrix]:
    """The similarity that most feature matches agree on, if enough do."""
    finder = cv2.SIFT.create(nfeatures=700, contrastThreshold=0.02)
    there, known = finder.detectAndCompute(fixed.grey, None)
    here, wanted = finder.detectAndCompute(moving.grey, None)
    if known is None or wanted is None or len(there) < 2 or len(here) < 2:
        return
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(wanted, known, k=2)
    good = [best for best, second in pairs if best.distance < RATIO * second.distance]
    if len(good) < LEAST_MATCHES:
        return
    cv2.setRNGSeed(0)
    matrix, agreeing = cv2.estimateAffinePartial2D(
        np.array([here[match.queryIdx].pt for match in good], np.float32),
        np.array([there[match.trainIdx].pt for match in good], np.float32),
        ransacReprojThreshold=4.0,
        maxIters=4000,
    )
    if matrix is not None and agreeing.sum() >= LEAST_MATCHES and _is_plausible(matrix):
        yield matrix


def _by_masks(fixed: _Copy, moving: _Copy, step: int = 12) -> Iterator[Matrix]:
    """Similarities that match the lesions' centres and sizes, in every orientation; the best
    third.
    """
    if fixed.mask is None or moving.mask is None:
        return
    size = np.sqrt(fixed.mask.sum() / moving.mask.sum())
    there = np.argwhere(fixed.mask).mean(axis=0)[::-1]
    here = np.argwhere(moving.mask).mean(axis=0)[::-1]
    found = []
    for angle in range(0, 360, step):
        matrix = cv2.getRotationMatrix2D((0.0, 0.0), angle, float(size))
        matrix[:, 2] = there - matrix[:, :2] @ here
        if _is_plausible(matrix):
            found.append((_agreement(fixed, moving, matrix), angle, matrix))
    found.sort(key=lambda one: one[:2], reverse=True)
    yield from (matrix for _, _, matrix in found[:3])


def _is_plausible(matrix: Matrix) -> bool:
    size = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    return bool(SCALES[0] <= size <= SCALES[1])


def _agreement(fixed: _Copy, moving: _Copy, matrix: Matrix) -> float:
    """Correlation of structure where the images overlap; 0 if they overlap too little."""
    height, width = fixed.structure.shape
    warped = cv2.warpAffine(moving.structure, matrix, (width, height), flags=cv2.INTER_LINEAR)
    inside = np.ones(moving.structure.shape, np.uint8)
    shared = cv2.warpAffine(inside, matrix, (width, height), flags=cv2.INTER_NEAREST) > 0
    if shared.mean() < LEAST_OVERLAP:
        return 0.0
    one, other = fixed.structure[shared], warped[shared]
    one, other = one - one.mean(), other - other.mean()
    spread = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / spread) if spread > 0 else 0.0


def _refined(fixed: _Copy, moving: _Copy, start: Matrix) -> tuple[float, Matrix]:
    """The score and the transform, refined on the intensities if that improves it.

    ECC: Evangelidis & Psarakis 2008 (doi:10.1109/TPAMI.2008.113), as an affine transform.
    """
    best = _agreement(fixed, moving, start)
    inverse = cv2.invertAffineTransform(start).astype(np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    try:
        _, found = cv2.findTransformECC(
            fixed.structure, moving.structure, inverse, cv2.MOTION_AFFINE, stop, None, 5
        )
    except cv2.error:  # no convergence: the start was too far off
        return best, start
    matrix = cv2.invertAffineTransform(found.astype(np.float64))
    stretch = np.linalg.svd(matrix[:, :2], compute_uv=False)
    if not _is_plausible(matrix) or stretch[0] > 1.2 * stretch[1]:
        return best, start
    refined = _agreement(fixed, moving, matrix)
    return (refined, matrix) if refined > best else (best, start)
