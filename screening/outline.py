"""A mask's border as a polygon."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Point = tuple[float, float]

TOLERANCE = 0.6
"""Pixels of the mask: how far a simplified border may run beside the real one."""


def outline(mask: npt.NDArray[np.bool_]) -> list[Point]:
    """The outer border of the mask's largest part, without its holes; empty for an empty mask.

    mask: bool [h, w]. Returns x, y of the corners, clockwise as seen, each 0..1 from the top left
    corner of the mask. Parts that touch only by a corner are two.
    """
    height, width = mask.shape
    loops = _loops(mask)
    if not loops:
        return []
    # Walked with the mask on the right hand, a hole's area is negative.
    largest = np.array(max(loops, key=_area), float)
    middles = (largest + np.roll(largest, -1, axis=0)) / 2
    return [(float(x) / width, float(y) / height) for x, y in _simplified(middles)]


def _loops(mask: npt.NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """The borders between mask and not mask, as closed walks over the pixels' corners (x, y)."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    steps: dict[tuple[int, int], list[tuple[int, int]]] = {}
    # A pixel's side, where it begins (row and column from the pixel) and where it goes (x, y).
    for neighbour, (down, right), step in (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (0, 1), (0, 1)),
        (padded[2:, 1:-1], (1, 1), (-1, 0)),
        (padded[1:-1, :-2], (1, 0), (0, -1)),
    ):
        for y, x in np.argwhere(inside & ~neighbour).tolist():
            steps.setdefault((x + right, y + down), []).append(step)
    loops = []
    while steps:
        loops.append(_walk(steps))
    return loops


def _walk(steps: dict[tuple[int, int], list[tuple[int, int]]]) -> list[tuple[int, int]]:
    """One closed walk, taken out of ``steps``. Where two ways go on, the one to the right."""
    start = here = min(steps)
    heading = steps[here][0]
    corners = []
    while True:
        ways = steps[here]
        right = (-heading[1], heading[0])
        heading = right if right in ways else ways[0]
        ways.remove(heading)
        if not ways:
            del steps[here]
        corners.append(here)
        here = (here[0] + heading[0], here[1] + heading[1])
        if here == start:
            return corners


def _area(corners: list[tuple[int, int]]) -> float:
    x, y = np.array(corners, float).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _simplified(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Douglas and Peucker's way, on the two halves between the first point and the farthest."""
    far = int(np.argmax(np.hypot(*(points - points[0]).T)))
    halves = (points[: far + 1], np.vstack([points[far:], points[:1]]))
    corners = np.vstack([half[_kept(half)][:-1] for half in halves])
    return corners if len(corners) > 2 else points


def _kept(line: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which points a line needs, so that none is farther from it than TOLERANCE."""
    keep = np.zeros(len(line), bool)
    keep[[0, -1]] = True
    open_stretches = [(0, len(line) - 1)]
    while open_stretches:
        first, last = open_stretches.pop()
        if last - first < 2:
            continue
        between = line[first + 1 : last] - line[first]
        along = line[last] - line[first]
        away = np.abs(between[:, 0] * along[1] - between[:, 1] * along[0]) / np.hypot(*along)
        farthest = first + 1 + int(np.argmax(away))
        if away.max() > TOLERANCE:
            keep[farthest] = True
            open_stretches += [(first, farthest), (farthest, last)]
    return keep


def thinned(points: list[Point], most: int) -> list[Point]:
    """At most so many of a closed line's corners: the ones nearest to places at equal steps."""
    if len(points) <= most:
        return points
    corners = np.array(points)
    steps = np.hypot(*np.diff(corners, axis=0, append=corners[:1]).T)
    along = np.cumsum(steps) - steps
    places = np.linspace(0, steps.sum(), most, endpoint=False)
    nearest = sorted({int(np.abs(along - place).argmin()) for place in places})
    return [points[number] for number in nearest]
