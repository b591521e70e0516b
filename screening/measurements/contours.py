"""A mask's border as a polygon."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Point = tuple[float, float]

TOLERANCE = 0.6
"""Pixels of the mask: the maximum distance of a simplified border from the real one."""


def outline(mask: npt.NDArray[np.bool_]) -> list[Point]:
    """The outer border of the mask's largest part, without its holes; empty for an empty mask.

    mask: bool [h, w]. Returns the corners' x and y, clockwise as seen, each 0..1 from the top left
    corner of the mask. Parts that touch only at a corner count as separate.
    """
    height, width = mask.shape
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    borders = [_border(parts == number) for number in range(1, count)]
    if not borders:
        return []
    largest = max(borders, key=cv2.contourArea)
    corners = cv2.approxPolyDP(largest, 2 * TOLERANCE, closed=True)[:, 0]
    if len(corners) < 3:
        corners = largest
    if cv2.contourArea(corners, oriented=True) < 0:
        corners = corners[::-1]
    return [(float(x) / (2 * width), float(y) / (2 * height)) for x, y in corners]


def _border(part: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """The midpoints of the pixel sides along the outer border: int [n, 2], x and y in half pixels.

    OpenCV traces pixel centres. On a grid of pixel corners and sides, where each pixel covers 3 x 3
    points, that trace is the border itself.
    """
    height, width = part.shape
    grid = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    for down in range(3):
        for right in range(3):
            grid[down : down + 2 * height : 2, right : right + 2 * width : 2] |= part
    (border,), _ = cv2.findContours(grid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = border[:, 0]
    return points[points.sum(axis=1) % 2 == 1]


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
