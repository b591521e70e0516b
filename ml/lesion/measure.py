"""A lesion's size, shape and colours, from an image and the lesion's mask. Deterministic.

Lengths are in pixels of the arrays given, colours in CIE L*a*b* (D65).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ml.lesion import colours, skin
from ml.lesion.skin import lab

LEAST_AREA = 60
"""Pixels: below this, shape is random."""
FINE = 4
"""The border is traced at this multiple of the mask's resolution."""
BORDER_POINTS = 360
CANVAS = 96
"""Side of the square, in pixels, on which a lesion is folded. Half of it is the square root of the
lesion's area, which makes the result independent of size and position.
"""
ANGLES = tuple(range(0, 90, 3))
ON_THE_EDGE = 0.02
"""A lesion with this share of its border on the frame's edge is cut off."""

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


class NotMeasurable(ValueError):
    """There is no lesion to measure. The message is shown to users."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The measurements.

    area_px; area_share: of the frame. longest_, shortest_diameter_px: the largest and smallest
    distance between two parallel lines that enclose the lesion (Feret). perimeter_px.
    asymmetry_shape: 0 (folds onto itself) to 1; asymmetry_colour: delta E (CIE 1976) between folded
    halves; both about the pair of perpendicular axes with the least asymmetry. border_irregularity:
    perimeter^2 / (4 pi area), 1 for a circle. colour_variegation: root mean square delta E from the
    lesion's mean colour. colours: the share of each dermatoscopic colour. mean_lab: the lesion's
    [L*, a*, b*]. ita_degrees: of the surrounding skin; None if it cannot be determined. centre: [x,
    y]. touches_border: the lesion is cut off by the frame.
    """

    area_px: float
    area_share: float
    longest_diameter_px: float
    shortest_diameter_px: float
    perimeter_px: float
    asymmetry_shape: float
    asymmetry_colour: float
    border_irregularity: float
    colour_variegation: float
    colours: dict[str, float]
    mean_lab: list[float]
    ita_degrees: float | None
    centre: list[float]
    touches_border: bool


def measure(pixels: Pixels, mask: Mask) -> Measures:
    """Measure the largest part of the mask, without holes. pixels [h, w, 3] sRGB; mask [h, w].

    Raises NotMeasurable for a mask that is tiny or fills the frame, ValueError for other shapes.
    """
    if pixels.shape != (*mask.shape, 3):
        raise ValueError(f"a mask of {mask.shape} does not fit pixels of {pixels.shape}")
    lesion = largest_part(mask)
    area = float(lesion.sum())
    if area < LEAST_AREA:
        raise NotMeasurable("The outline encloses too little to be measured.")
    if area > 0.97 * lesion.size:
        raise NotMeasurable("The lesion fills the picture: nothing of its border is seen.")
    border = _border(lesion)
    perimeter = float(cv2.arcLength(border[:, None].astype(np.float32), True))
    shortest, longest = _calipers(border)
    smooth = cv2.GaussianBlur(pixels, (0, 0), max(0.5, 0.01 * np.sqrt(area)))
    own = lab(smooth[lesion])
    mean = own.mean(axis=0)
    shape, colour = _asymmetry(lab(smooth), lesion)
    around = ~cv2.dilate(lesion.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    centre = np.argwhere(lesion).mean(axis=0)[::-1] + 0.5
    return Measures(
        area_px=area,
        area_share=area / lesion.size,
        longest_diameter_px=longest,
        shortest_diameter_px=shortest,
        perimeter_px=perimeter,
        asymmetry_shape=shape,
        asymmetry_colour=colour,
        border_irregularity=max(1.0, perimeter**2 / (4 * np.pi * area)),
        colour_variegation=float(np.sqrt(((own - mean) ** 2).sum(axis=1).mean())),
        colours=colours.shares(own, colours.skin_colour(smooth, around)),
        mean_lab=[float(value) for value in mean],
        ita_degrees=skin.ita(pixels, lesion),
        centre=[float(value) for value in centre],
        touches_border=_share_on_the_edge(lesion, perimeter) > ON_THE_EDGE,
    )


def largest_part(mask: Mask) -> Mask:
    """The largest connected part of a mask, its holes filled."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    if found:
        largest = max(found, key=lambda points: (cv2.contourArea(points), len(points)))
        cv2.drawContours(filled, [largest], -1, 1, cv2.FILLED)
    whole: Mask = filled.astype(bool)
    return whole


def _border(lesion: Mask) -> Floats:
    """[BORDER_POINTS, 2]: x, y along the border at equal steps, with pixel stairs smoothed out.

    Without the stairs, the length of a border does not depend on its orientation.
    """
    padded = np.pad(lesion.astype(np.float32), 2)
    fine = cv2.resize(padded, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_LINEAR)
    fine = cv2.GaussianBlur(fine, (0, 0), 0.8 * FINE)
    inside = (fine >= 0.5).astype(np.uint8)
    found, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(found, key=len)[:, 0].astype(np.float64)
    steps = np.hypot(*np.diff(points, axis=0, append=points[:1]).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    closed = np.vstack([points, points[:1]])
    places = np.linspace(0, along[-1], BORDER_POINTS, endpoint=False)
    even = np.column_stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)])
    return (_smoothed(even) + 0.5) / FINE - 2


def _smoothed(points: Floats, sigma: float = 2.0) -> Floats:
    """Points of a closed curve, each averaged with its neighbours under a Gaussian of ``sigma``
    points.
    """
    reach = np.arange(-8, 9)
    weights = np.exp(-((reach / sigma) ** 2) / 2)
    near = [
        weight * np.roll(points, step, axis=0) for step, weight in zip(reach, weights, strict=True)
    ]
    mean: Floats = np.sum(near, axis=0) / weights.sum()
    return mean


def _calipers(border: Floats) -> tuple[float, float]:
    """The smallest and the largest distance between two parallel lines that touch the border."""
    angles = np.radians(np.arange(0, 180, 1.0))
    along = border @ np.stack([np.cos(angles), np.sin(angles)])
    widths = np.ptp(along, axis=0)
    return float(widths.min()), float(widths.max())


def _asymmetry(seen: Floats, lesion: Mask) -> tuple[float, float]:
    """Asymmetry of shape and of colour. seen [h, w, 3] in L*a*b*.

    As in the ABCD rule (Stolz et al. 1994), the axes are those with the least asymmetry: the
    principal axes of a nearly round lesion would be random.
    """
    shapes, colours_apart = [], []
    layers = np.dstack([seen, lesion]).astype(np.float32)
    centre = np.argwhere(lesion).mean(axis=0)[::-1]
    scale = CANVAS / (2 * np.sqrt(lesion.sum()))
    middle = (CANVAS - 1) / 2
    for angle in ANGLES:
        turn = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), angle, scale)
        turn[:, 2] += middle - centre
        turned = cv2.warpAffine(layers, turn, (CANVAS, CANVAS), flags=cv2.INTER_AREA)
        folds = [_fold(turned, np.flip(turned, axis)) for axis in (0, 1)]
        shapes.append(float(np.mean([fold[0] for fold in folds])))
        colours_apart.append(float(np.mean([fold[1] for fold in folds])))
    return min(shapes), min(colours_apart)


def _fold(here: npt.NDArray[np.float32], there: npt.NDArray[np.float32]) -> tuple[float, float]:
    """The difference between two halves: the share of the shape, and the mean delta E where they
    overlap.
    """
    both = np.minimum(here[..., 3], there[..., 3])
    apart = np.abs(here[..., 3] - there[..., 3]).sum() / (2 * max(here[..., 3].sum(), 1.0))
    difference = np.sqrt(((here[..., :3] - there[..., :3]) ** 2).sum(axis=-1))
    return float(apart), float((difference * both).sum() / max(both.sum(), 1.0))


def _share_on_the_edge(lesion: Mask, perimeter: float) -> float:
    edge = sum(int(side.sum()) for side in (lesion[0], lesion[-1], lesion[:, 0], lesion[:, -1]))
    return edge / perimeter
