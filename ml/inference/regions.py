"""Detection of further lesions in a picture: from pixels and the mask to boxes.

The mask is trained on the lesion in the centre, and a second one is often not part of it. So it is
searched for in the pixels: as a dark, compact patch on the skin, or as a picture within the
picture. Where the mask may cover two, a dark patch off its centre is either the second or part of
the first.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from ml.inference.views import Box

Bools = npt.NDArray[np.bool_]

MOST = 2
"""Regions that are read besides the whole: each takes as long as the picture."""
LEAST_SPOT = 0.004
"""Share of the picture."""
MOST_SPOT = 0.4
LEAST_CONTRAST = 15.0
"""CIELAB between a spot and the skin of the picture; also at least OF_MAIN of the main lesion's
contrast, and three times the variation of the skin itself.
"""
OF_MAIN = 0.5
LEAST_STEP = 20.0
"""CIELAB between the darker half of a spot and the skin around it: a shadow has no edge, and that
of a soft one is farther out.
"""
LEAST_CORE = 20.0
"""CIELAB between a dark core and the rest of the mask around it; also twice the variation of the
rest.
"""
MOST_CORE = 0.2
"""Share of the picture."""
OFF_CENTRE = 0.4
"""The minimum distance of a second spot's core from the centre of the mask, as a multiple of the
radius of a disc of the mask's size. The mask of a nevus that fills the picture includes that spot.
"""
LEAST_SOLID = 0.8
"""Share of its convex hull that a spot fills."""
LONGEST = 2.5
"""Length over width: hairs, folds and rulers are longer."""
MOST_ON_BORDER = 0.3
"""Share of a spot's outline on the picture's border: a dermatoscope's dark rim has more."""
DARKEST_SKIN = 25.0
"""L* around a spot: the dark rim is below this."""
INK = -12.0
"""b* of a spot: pen marks and coloured patches are bluer."""
AROUND = 2.2
"""Side of the square that is read around a spot, as a multiple of the spot's longer side."""
SMALLEST_SQUARE = 48
"""Pixels of the reduced image: smaller squares contain too little to read."""

SHARP_SHARE = 0.7
"""Share of the border of a picture within a picture that is a sharp step. None of 1,331 images of
the tune parts has a rectangle of 0.7; JPEG's blocks make some of 0.55."""
FRAME_SHARE = 0.62
"""The same, for a rectangle with all four sides inside the picture: the mean of the sides, each at
least FAINTEST_SIDE."""
FAINTEST_SIDE = 0.45
ON_BORDER = 2.0
"""Instead of a share, for a side on the picture's own border."""
SHORTEST_BORDER = 24
"""Pixels of the reduced image."""
LARGEST_INSET = 0.6
"""Share of the picture: a larger one is the picture itself, with a frame."""
LEAST_JUMP = 4.0
"""Of 255, across a step; and 1.4 times as much as two pixels farther on either side."""


def main(mask: Bools) -> Bools:
    """The largest connected part of a mask [h, w]."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    largest: Bools = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return largest


def others(reduced: Image.Image, mask: Bools) -> list[Box]:
    """Where another lesion may be outside the main part of the mask: at most MOST, largest first.

    reduced: the result of `ml.inference.views.reduce`; mask [h, w]: the lesion's pixels in it.
    """
    pixels = np.asarray(reduced)
    inset = _inset(pixels.astype(np.int16))
    if inset is not None:
        return [inset]
    return _boxes(_spots(_lab(pixels), main(mask)))


def cores(reduced: Image.Image, mask: Bools) -> list[Box]:
    """Where the main part of the mask may contain a second lesion: at most MOST, largest first."""
    return _boxes(_cores(_lab(np.asarray(reduced)), main(mask)))


def _boxes(spots: list[Bools]) -> list[Box]:
    return [_square(spot) for spot in sorted(spots, key=np.sum, reverse=True)[:MOST]]


def _lab(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    smooth = cv2.medianBlur(np.ascontiguousarray(pixels), 5).astype(np.float32) / 255
    lab: npt.NDArray[np.float32] = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)
    return lab


def _spots(lab: npt.NDArray[np.float32], lesion: Bools) -> list[Bools]:
    """Patches that look like a lesion on the skin beside the main one."""
    near = _grown(lesion, 9)
    skin = ~near & (lab[..., 0] > 15)
    if skin.sum() < 0.1 * skin.size:
        return []
    darker, contrast = _contrast(lab, skin)
    strays = float(np.median(contrast[skin]))
    of_lesion = float(np.median(contrast[lesion])) if lesion.any() else 20.0
    least = max(12.0, 2.5 * strays, min(0.5 * of_lesion, 25.0))
    wanted = max(LEAST_CONTRAST, OF_MAIN * of_lesion, 3 * strays)
    return [
        spot
        for spot in _patches((contrast > least) & ~near & darker)
        if spot.mean() <= MOST_SPOT
        and np.median(contrast[spot]) >= wanted
        and _is_compact(spot)
        and _stands_out(lab, spot, near)
    ]


def _cores(lab: npt.NDArray[np.float32], lesion: Bools) -> list[Bools]:
    """Dark patches inside the lesion's mask and off its centre, including those of a lesion it
    absorbed.
    """
    if lesion.mean() < LEAST_SPOT:
        return []
    darker, contrast = _contrast(lab, lesion)
    strays = float(np.median(contrast[lesion]))
    centre, radius = np.argwhere(lesion).mean(axis=0), np.sqrt(lesion.sum() / np.pi)
    return [
        core
        for core in _patches((contrast > max(12.0, 2 * strays)) & lesion & darker)
        if core.mean() <= MOST_CORE
        and np.median(contrast[core]) >= LEAST_CORE
        and np.linalg.norm(np.argwhere(core).mean(axis=0) - centre) >= OFF_CENTRE * radius
        and _is_compact(core)
    ]


def _contrast(lab: npt.NDArray[np.float32], ground: Bools) -> tuple[Bools, npt.NDArray[np.float32]]:
    """Where it is darker than the ground, and each pixel's distance from it in CIELAB; for lighter
    pixels only by colour.
    """
    away = lab - np.median(lab[ground], axis=0)
    darker = np.minimum(away[..., 0], 0)
    return away[..., 0] < 0, np.hypot(np.hypot(darker, away[..., 1]), away[..., 2])


def _patches(marked: Bools) -> list[Bools]:
    """Connected patches of at least LEAST_SPOT: opened to remove hairs, closed over the gaps that
    they leave.
    """
    opened = cv2.morphologyEx(marked.astype(np.uint8), cv2.MORPH_OPEN, _disc(7))
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, _disc(5))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed)
    large = stats[:, cv2.CC_STAT_AREA] >= LEAST_SPOT * marked.size
    return [labels == number for number in range(1, count) if large[number]]


def _is_compact(spot: Bools) -> bool:
    height, width = spot.shape
    outlines, _ = cv2.findContours(spot.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=cv2.contourArea)
    sides = cv2.minAreaRect(outline)[1]
    columns, rows = outline[:, 0, 0], outline[:, 0, 1]
    on_border = (columns == 0) | (columns == width - 1) | (rows == 0) | (rows == height - 1)
    return bool(
        spot.sum() >= LEAST_SOLID * cv2.contourArea(cv2.convexHull(outline))
        and max(sides) <= LONGEST * max(1.0, min(sides))
        and on_border.mean() <= MOST_ON_BORDER
    )


def _stands_out(lab: npt.NDArray[np.float32], spot: Bools, near: Bools) -> bool:
    ring = _grown(spot, 21) & ~_grown(spot, 11) & ~near
    around = np.median(lab[ring if ring.sum() > 20 else ~near], axis=0)
    step = np.linalg.norm(lab[spot] - around, axis=1)
    own = np.median(lab[spot][step >= np.median(step)], axis=0)
    return bool(
        np.linalg.norm(own - around) >= LEAST_STEP and around[0] > DARKEST_SKIN and own[2] >= INK
    )


def _square(spot: Bools) -> Box:
    """A square around a patch, moved inside the picture."""
    height, width = spot.shape
    left, top, across, down = cv2.boundingRect(spot.astype(np.uint8))
    side = min(max(SMALLEST_SQUARE, AROUND * max(across, down)), width, height)
    left = min(max(left + across / 2 - side / 2, 0), width - side)
    top = min(max(top + down / 2 - side / 2, 0), height - side)
    return Box(left / width, top / height, (left + side) / width, (top + side) / height)


def _inset(pixels: npt.NDArray[np.int16]) -> Box | None:
    """A picture within the picture: a rectangle with sharp sides, some of which may lie on the
    picture's own border; of several, the one with the most sides inside, then the sharpest.
    """
    height, width = pixels.shape[:2]
    down = _sums(_steps(pixels))
    across = _sums(_steps(pixels.transpose(1, 0, 2)))
    columns, rows = _stretches(_lines(down), width), _stretches(_lines(across), height)
    sides = np.stack(
        [
            *(_sharpness(down, edges, rows, width) for edges in columns.T),
            *(_sharpness(across, edges, columns, height).T for edges in rows.T),
        ]
    )  # [4, columns, rows]
    inside = (sides < ON_BORDER).sum(axis=0)
    least = sides.min(axis=0)
    is_framed = (inside == 4) & (least >= FAINTEST_SIDE) & (sides.mean(axis=0) >= FRAME_SHARE)
    areas = np.outer(np.diff(columns), np.diff(rows))
    fits = (areas <= LARGEST_INSET * width * height) & ((least >= SHARP_SHARE) | is_framed)
    if not fits.any():
        return None
    column, row = np.unravel_index(np.argmax(np.where(fits, inside + least, 0)), fits.shape)
    (left, right), (top, bottom) = columns[column].tolist(), rows[row].tolist()
    return Box(left / width, top / height, right / width, bottom / height)


def _sums(steps: Bools) -> npt.NDArray[np.int64]:
    """[h + 1, edges]: how many steps lie along each edge above each row."""
    return np.pad(np.cumsum(steps, axis=0, dtype=np.int64), ((1, 0), (0, 0)))


def _sharpness(
    sums: npt.NDArray[np.int64],
    edges: npt.NDArray[np.int64],
    stretches: npt.NDArray[np.int64],
    length: int,
) -> npt.NDArray[np.float64]:
    """[edges, stretches]: the share of each stretch of each edge that is a sharp step; ON_BORDER
    for the picture's own border, 0 and length.
    """
    start, stop = stretches.T
    is_inside = (edges > 0) & (edges < length)
    along = sums[:, np.where(is_inside, edges - 1, 0)]
    share = (along[stop] - along[start]).T / (stop - start)
    return np.where(is_inside[:, np.newaxis], share, ON_BORDER)


def _steps(pixels: npt.NDArray[np.int16]) -> Bools:
    """[h, w - 1]: where a pixel and the next in its row differ sharply, as at an edge."""
    red, green, blue = np.moveaxis(np.abs(np.diff(pixels, axis=1)), 2, 0)
    jump = np.maximum(np.maximum(red, green), blue)
    padded = np.pad(jump, ((0, 0), (2, 2)))
    beside = np.maximum(padded[:, 1:-3], padded[:, 3:-1])
    farther = np.maximum(padded[:, :-4], padded[:, 4:])
    steps: Bools = (jump >= beside) & (jump > 1.4 * farther) & (jump > LEAST_JUMP)
    return steps


def _lines(sums: npt.NDArray[np.int64]) -> list[int]:
    """Edges (the pixel after each) along which some stretch of SHORTEST_BORDER is sharp.

    sums [n + 1, edges]: cumulative steps along each edge.
    """
    counted = sums[SHORTEST_BORDER:] - sums[:-SHORTEST_BORDER]
    sharp = counted.max(axis=0) >= FAINTEST_SIDE * SHORTEST_BORDER
    return [int(edge) + 1 for edge in np.flatnonzero(sharp)]


def _stretches(edges: list[int], length: int) -> npt.NDArray[np.int64]:
    """[n, 2]: all stretches from one edge to a later one, or to the picture's own border, including
    the whole.
    """
    ends = np.array([0, *edges, length])
    first, last = np.triu_indices(len(ends), 1)
    stretches = np.stack([ends[first], ends[last]], axis=1)
    long: npt.NDArray[np.int64] = stretches[np.diff(stretches)[:, 0] >= SHORTEST_BORDER]
    return long


def _grown(region: Bools, size: int) -> Bools:
    grown: Bools = cv2.dilate(region.astype(np.uint8), _disc(size)) > 0
    return grown


def _disc(size: int) -> npt.NDArray[np.uint8]:
    disc: npt.NDArray[np.uint8] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return disc
