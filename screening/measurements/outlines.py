"""Write path of what a person adds to a picture's measurements: its outline and its scale."""

from __future__ import annotations

from itertools import combinations
from math import hypot

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from screening import bells
from screening.models import ImageScale, LesionImage, Outline
from screening.write_access import require_writable

CORNERS = (3, 200)
LEAST_SHARE = 0.0005
"""The smallest outline, as a share of the picture's area."""
LEAST_RULER = 0.02
"""The smallest distance, as a share of the picture's width."""

Point = tuple[float, float]


@transaction.atomic
def draw_outline(*, user: User, image: LesionImage, points: list[Point]) -> Outline:
    """Make this the current outline. A worker measures within it, and compares again.

    points: shares of the width and height. Raises ValidationError for a line that encloses nothing
    or crosses itself.
    """
    require_writable(user=user, patient=image.lesion.patient)
    _require_outline(points)
    drawn = Outline.objects.create(
        image=image, drawn_by=user, points=[[round(x, 5), round(y, 5)] for x, y in points]
    )
    bells.after_commit(bells.follow_up, image.pk)
    return drawn


@transaction.atomic
def set_scale(*, user: User, image: LesionImage, source: str, mm_per_pixel: float) -> ImageScale:
    """Set the size of the image's pixels. It replaces any earlier scale."""
    require_writable(user=user, patient=image.lesion.patient)
    scale = ImageScale(image=image, set_by=user, source=source, mm_per_pixel=mm_per_pixel)
    scale.full_clean()
    scale.save()
    bells.after_commit(bells.follow_up, image.pk)
    return scale


def by_field_of_view(image: LesionImage, millimetres: float) -> float:
    """Millimetres per pixel, from the width of skin that the picture shows."""
    return millimetres / image.width


def by_ruler(image: LesionImage, points: list[Point], millimetres: float) -> float:
    """Millimetres per pixel, from two points a known distance apart.

    points: shares of the width and height. Raises ValidationError for points that are too close.
    """
    (u, v), (x, y) = points
    pixels = hypot((u - x) * image.width, (v - y) * image.height)
    if pixels < LEAST_RULER * image.width:
        raise ValidationError("The two points are too close together: choose them farther apart.")
    return millimetres / pixels


def _require_outline(points: list[Point]) -> None:
    if not CORNERS[0] <= len(points) <= CORNERS[1]:
        raise ValidationError(f"An outline has {CORNERS[0]} to {CORNERS[1]} points.")
    if not all(0 <= value <= 1 for point in points for value in point):
        raise ValidationError("The outline leaves the picture.")
    sides = list(zip(points, points[1:] + points[:1], strict=True))
    for (m, one), (n, other) in combinations(enumerate(sides), 2):
        are_neighbours = n - m in (1, len(sides) - 1)
        if not are_neighbours and _cross(*one, *other):
            raise ValidationError("The outline crosses itself.")
    if abs(sum(x * v - u * y for (x, y), (u, v) in sides)) / 2 < LEAST_SHARE:
        raise ValidationError("The outline encloses almost nothing.")


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    def turn(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0
