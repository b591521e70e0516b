"""A mask's border as a polygon, in plain NumPy: pages need it, and only workers use OpenCV."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Point = tuple[float, float]

TOLERANCE = 0.6
"""Pixels of the mask: the maximum distance of a simplified border from the real one."""
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Along x and y: to the right, down, to the left, up. Each is a right turn from the one before."""


def outline(mask: npt.NDArray[np.bool_]) -> list[Point]:
    """The outer border of the mask's largest part, without its holes; empty for an empty mask.

    mask: bool [h, w]. Returns the corners' x and y, clockwise as seen, each 0..1 from the top left
    corner of the mask. Parts that touch only at a corner count as separate.
    """
    height, width = mask.shape
    borders = _borders(mask)
    if not borders:
        return []
    largest = max(borders, key=_area)
    corners = _simplified(largest, 2 * TOLERANCE)
    if len(corners) < 3:
        corners = largest
    return [(float(x) / (2 * width), float(y) / (2 * height)) for x, y in corners]


def _borders(mask: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    """All borders, of parts clockwise and of holes anticlockwise: the midpoints of the pixel sides
    along them, int [n, 2], x and y in half pixels.
    """
    padded = np.pad(mask, 1)
    # The four pixels around each corner of a pixel.
    upper_left, upper_right = padded[:-1, :-1], padded[:-1, 1:]
    lower_left, lower_right = padded[1:, :-1], padded[1:, 1:]
    ways = (
        lower_right & ~upper_right,
        lower_left & ~lower_right,
        upper_left & ~lower_left,
        upper_right & ~upper_left,
    )
    sides = [(x, y, way) for y, x, way in np.argwhere(np.stack(ways, axis=-1)).tolist()]
    unseen, borders = set(sides), []
    for side in sides:
        border = _followed(side, unseen)
        if border:
            borders.append(np.array(border))
    return borders


def _followed(
    side: tuple[int, int, int], unseen: set[tuple[int, int, int]]
) -> list[tuple[int, int]]:
    """The closed border that ``side`` is in, taken out of ``unseen``. A side is the corner where it
    begins and its index in STEPS. Where two parts touch, the right turn stays with this one.
    """
    border: list[tuple[int, int]] = []
    following = side if side in unseen else None
    while following is not None:
        unseen.remove(following)
        x, y, way = following
        across, down = STEPS[way]
        border.append((2 * x + across, 2 * y + down))
        turns = ((x + across, y + down, (way + turn) % 4) for turn in (1, 0, 3))
        following = next((one for one in turns if one in unseen), None)
    return border


def _area(border: npt.NDArray[np.int64]) -> float:
    """Twice what it encloses; negative for a hole."""
    x, y = border.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def _simplified(line: npt.NDArray[np.int64], tolerance: float) -> npt.NDArray[np.int64]:
    """A closed line with as few corners as ``tolerance`` allows (Douglas and Peucker)."""
    line = np.roll(line, -_farthest(line), axis=0)
    closed = np.vstack([line, line[:1]])
    opposite = _farthest(line)
    kept, open_parts = {0, opposite}, [(0, opposite), (opposite, len(line))]
    while open_parts:
        first, last = open_parts.pop()
        if last - first < 2:
            continue
        (across, down), between = closed[last] - closed[first], closed[first + 1 : last]
        x, y = (between - closed[first]).T
        distances = np.abs(across * y - down * x) / np.hypot(across, down)
        if distances.max() > tolerance:
            corner = first + 1 + int(distances.argmax())
            kept.add(corner)
            open_parts += [(first, corner), (corner, last)]
    return line[sorted(kept)]


def _farthest(line: npt.NDArray[np.int64]) -> int:
    """The point farthest from the first."""
    return int(np.hypot(*(line - line[0]).T).argmax())


def thinned(points: list[Point], most: int) -> list[Point]:
    """Reduce a closed line to at most ``most`` corners: those nearest to evenly spaced points."""
    if len(points) <= most:
        return points
    corners = np.array(points)
    steps = np.hypot(*np.diff(corners, axis=0, append=corners[:1]).T)
    along = np.cumsum(steps) - steps
    places = np.linspace(0, steps.sum(), most, endpoint=False)
    nearest = sorted({int(np.abs(along - place).argmin()) for place in places})
    return [points[number] for number in nearest]
