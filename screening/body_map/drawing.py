"""The drawing of the body map: one neutral body, from the front and from behind.

Drawn for the right half of the picture: x is the distance from the midline, y runs down from the
top, in units of which a figure is ``WIDTH`` wide and ``HEIGHT`` high. The left half mirrors it.
"""

from __future__ import annotations

from math import dist

import numpy as np
import numpy.typing as npt

Point = tuple[float, float]

WIDTH, HEIGHT = 220, 440
MIDDLE = WIDTH / 2
STEPS = 4
"""Straight segments that approximate a curve between two points, for the inside test."""

# fmt: off
BODY: tuple[Point, ...] = (
    (0, 13), (7, 13.8), (13.2, 17.2), (17.4, 23.5), (19, 31), (19.2, 38.5), (20.6, 37.6),
    (22.4, 38.6), (22.9, 42.5), (22, 47.5), (20.6, 51.6), (18.9, 52.6), (17.8, 57), (15.6, 63),
    (12.8, 67.3), (11.6, 71.5), (11.5, 77), (13.2, 82), (19, 86), (28, 89.2), (37.5, 92.2),
    (46.5, 95.8), (53, 102.3), (56.6, 111.5), (60, 126.7), (63.7, 145.9), (66.6, 163),
    (69.3, 173.9), (72.2, 181.1), (75, 192.1), (77.1, 206.9), (79.3, 221.1), (81.2, 229.4),
    (83.3, 234.2), (87.4, 238.9), (91.5, 243.6), (95.3, 248.9), (98, 253.9), (98.4, 257.2),
    (96.2, 258.2), (93, 254.4), (90.6, 250.5), (89.9, 251.1), (91.7, 256.6), (94.2, 263.9),
    (95.6, 269.4), (94.8, 272.2), (92.2, 271.6), (89.5, 265), (86.8, 257.3), (86.5, 257.8),
    (88.9, 266.3), (90.8, 274.9), (89.7, 278.1), (87.1, 276.2), (84.7, 267.3), (82.4, 258.5),
    (82.1, 258.8), (83.6, 267), (84.7, 273.8), (83.4, 276.8), (81.1, 274.9), (79.5, 267.3),
    (77.8, 258.5), (77.5, 259), (77.9, 264.3), (78.2, 269), (76.9, 271.6), (74.8, 270.3),
    (73.8, 264.8), (72.4, 257.7), (70.6, 249.7), (70, 241.3), (69.8, 232.6), (67.4, 224.4),
    (62.4, 210.9), (57.1, 197), (53.7, 184.9), (52, 178), (48.1, 163.5), (43.5, 147.6),
    (40.4, 134.5), (38.9, 122.6), (37.4, 122.2), (36.3, 128), (35.2, 138), (33.4, 150),
    (31.6, 161), (30.9, 171), (31.7, 182), (34, 194), (36.4, 206), (38, 219), (38.5, 233),
    (38, 250), (36.6, 268), (34.4, 287), (32.2, 303), (31.2, 315), (31.1, 325), (31.8, 336),
    (32.2, 348), (31, 363), (28.6, 380), (26.6, 394), (26, 402), (27.2, 409.5), (30.3, 416.5),
    (32.8, 422), (32.2, 426.2), (27.5, 427.8), (21.5, 427.6), (17.3, 426.2), (16, 421.5),
    (16.4, 414.5), (17.3, 407.5), (17, 401), (16, 392), (14, 377), (11.7, 361), (10.8, 348),
    (11.4, 336), (12.6, 325), (12.6, 315), (11.4, 304), (8.6, 287), (5.8, 268), (3.4, 250),
    (1.6, 236), (0, 229.5),
)
"""From the crown over ear, shoulder, hand and foot to the crotch."""

SOLE: tuple[Point, ...] = (
    (80, 342), (86, 344.5), (89.2, 351), (88.8, 360), (88.6, 372), (91, 384), (92.6, 395),
    (92.4, 402), (91.4, 407), (88.9, 408.2), (87.4, 406.4), (87.9, 410.2), (85.4, 412.6),
    (82.9, 410), (83, 414.2), (80.4, 416.6), (78, 413.4), (77.8, 417.8), (75, 420.2), (72.4, 416.8),
    (72.8, 421.4), (69.4, 424.8), (65.4, 423), (63.8, 416.6), (64.8, 407), (66.6, 396), (69.4, 384),
    (71.6, 372), (71.4, 361), (70.6, 352), (73.6, 345),
)
"""From behind with the toes down, as when kneeling: the great toe is the inner one."""

_FACE: tuple[tuple[Point, ...], ...] = (
    ((0, 74.2), (5.2, 73.2), (10.2, 70), (14.2, 65.2), (16.9, 59.6)),
    ((4.6, 38), (8.6, 36.4), (13.2, 37.8)),
    ((5.2, 42.6), (8.8, 44), (12.4, 42.4)),
    ((0, 55.4), (2.3, 55), (3.5, 53.2), (2.3, 50.4)),
    ((0, 62.4), (3, 61.9), (6.4, 62.2)),
)
_HAND: tuple[tuple[Point, ...], ...] = (
    ((85.6, 238.6), (83.4, 243.4), (84.6, 249.4)),
    ((74.2, 252.4), (79, 253.2), (84.4, 251.6), (88, 248.2)),
)
_KNUCKLES: tuple[tuple[Point, ...], ...] = (
    ((73.2, 254.6), (74.6, 253.4), (76, 254.4)),
    ((78.6, 254.6), (80.2, 253.4), (81.6, 254.2)),
    ((83.2, 253.4), (84.8, 252), (86.2, 252.8)),
    ((87, 250.6), (88.4, 249.2), (89.8, 250)),
)
FRONT_LINES: tuple[tuple[Point, ...], ...] = (
    *_FACE,
    *_HAND,
    ((4.2, 94.6), (11, 92.6), (23, 92.8), (36, 96.4)),
    ((11.2, 79), (7.6, 87), (4.2, 94.6)),
    ((3.4, 131), (13, 133.4), (24, 131.4), (32.4, 126), (38, 116.5)),
    ((0, 100), (0, 128)),
    ((0, 148), (0, 171)),
    ((0, 180), (1.8, 179.2), (2.2, 177.2), (1.4, 175.6)),
    ((31.5, 203.5), (22.5, 212), (12.5, 220.5)),
    ((14.8, 319), (17, 311.4), (22.4, 309.6), (27.6, 312)),
    ((16.4, 325.6), (21.6, 328.2), (26.8, 325.4)),
    ((20.2, 421.4), (20, 426.6)),
    ((23.6, 422), (23.7, 427)),
    ((26.8, 421.8), (27.2, 426.8)),
    ((29.4, 420.8), (30.2, 425.6)),
)
BACK_LINES: tuple[tuple[Point, ...], ...] = (
    *_KNUCKLES,
    ((0, 65.4), (6.6, 65), (11.6, 62.6)),
    ((0, 84), (0, 193)),
    ((9.6, 104), (11.4, 117), (16.6, 128.6), (22.4, 131.8), (27.8, 127)),
    ((14, 103), (24, 99.6), (34, 98)),
    ((7.6, 189.6), (8.8, 192), (8, 194.4)),
    ((0, 200), (0, 228)),
    ((2.6, 234.4), (11, 238.4), (21, 238), (29, 233.6)),
    ((14.6, 316), (21.4, 319), (28.4, 316)),
    ((21.2, 344), (21.8, 356), (21.4, 366)),
    ((19, 391), (19.6, 398), (19.2, 405)),
    ((24.4, 391), (23.8, 398), (24.4, 405)),
    ((59.4, 172.6), (62.6, 175.2), (66, 173.6)),
    ((67, 402.4), (74, 405.6), (82, 402.6), (88.6, 397)),
)
# fmt: on
"""Landmarks for orientation: strokes that are mirrored too."""


def body() -> list[Point]:
    """The closed outline of the whole body, in the figure's units."""
    return [*_placed(BODY), *_mirrored(BODY[1:-1])]


def soles() -> list[list[Point]]:
    return [_placed(SOLE), _mirrored(SOLE)]


def lines(strokes: tuple[tuple[Point, ...], ...]) -> str:
    """SVG path data of strokes and their mirror images."""
    return "".join(path(side(stroke), closed=False) for stroke in strokes for side in _SIDES)


def path(points: list[Point], *, closed: bool = True) -> str:
    """SVG path data of a smooth curve through all points."""
    data = f"M{points[0][0]:g} {points[0][1]:g}"
    for _, one, other, end in _curves(points, closed):
        data += "C" + " ".join(f"{value:.1f}" for point in (one, other, end) for value in point)
    return data + ("Z" if closed else "")


def flattened(points: list[Point]) -> list[Point]:
    """The smooth closed curve through all points as a polygon."""
    return [
        _on_curve(curve, step / STEPS) for curve in _curves(points, True) for step in range(STEPS)
    ]


def is_inside(
    polygon: list[Point], x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Which points lie inside, by the number of times that a ray to the right crosses the border.

    x, y: of the same shape, which is also that of the result.
    """
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if ay != by:
            crossed = ((ay > y) != (by > y)) & (x < ax + (bx - ax) * (y - ay) / (by - ay))
            inside ^= crossed
    return inside


def _placed(points: tuple[Point, ...]) -> list[Point]:
    return [(MIDDLE + x, y) for x, y in points]


def _mirrored(points: tuple[Point, ...]) -> list[Point]:
    return [(MIDDLE - x, y) for x, y in reversed(points)]


_SIDES = (_placed, _mirrored)


def _curves(points: list[Point], closed: bool) -> list[tuple[Point, Point, Point, Point]]:
    """Bezier curves from point to point. At each point the tangent runs from the previous point to
    the next, and the handles are a third of the way long, which gives smooth bends without
    overshoot.
    """
    around = [points[-1], *points, *points[:2]] if closed else [points[0], *points, points[-1]]
    found = []
    for before, start, end, after in zip(around, around[1:], around[2:], around[3:], strict=False):
        third = dist(start, end) / 3
        found.append(
            (start, _ahead(start, before, end, third), _ahead(end, after, start, third), end)
        )
    return found


def _ahead(point: Point, origin: Point, aim: Point, length: float) -> Point:
    """The point this far from ``point`` in the direction from ``origin`` to ``aim``."""
    scale = length / dist(origin, aim)
    return point[0] + (aim[0] - origin[0]) * scale, point[1] + (aim[1] - origin[1]) * scale


def _on_curve(curve: tuple[Point, Point, Point, Point], share: float) -> Point:
    rest = 1 - share
    weights = (rest**3, 3 * rest**2 * share, 3 * rest * share**2, share**3)
    x, y = (
        sum(weight * point[axis] for weight, point in zip(weights, curve, strict=True))
        for axis in (0, 1)
    )
    return x, y
