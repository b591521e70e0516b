"""The body map's regions: where a point lies on the body, and its body site.

Codes are from DICOM's context group 4029 "Dermatology Anatomic Site" (SNOMED CT), and only where
the group contains the region itself or the whole that it is part of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from screening.body_map import drawing
from screening.body_map.drawing import HEIGHT, MIDDLE, WIDTH, Point
from screening.models import BodySite, BodyView, Side

MIDLINE = 3
"""Units on either side of the midline that count as being on it."""
FINEST = 2
"""Units between the points tried for a region's centre."""


@dataclass(frozen=True, slots=True)
class Code:
    value: str
    meaning: str
    scheme: str = "SCT"


@dataclass(frozen=True, slots=True)
class Region:
    """A part of one figure. side: None if it crosses the midline."""

    view: BodyView
    name: str
    side: Side | None
    site: BodySite
    code: Code | None
    corners: list[Point]

    @property
    def key(self) -> str:
        return f"{self.view.value}/{self.side.value if self.side else ''}/{self.name}"

    @property
    def label(self) -> str:
        return label(self.name, self.side)

    @property
    def where(self) -> str:
        return where(self.view, self.name, self.side)

    @property
    def path(self) -> str:
        return "M" + "L".join(f"{x:g} {y:g}" for x, y in self.corners) + "Z"


@dataclass(frozen=True, slots=True)
class Figure:
    """path, lines: SVG data. offset: the horizontal distance of the figure from the left of the
    map.
    """

    view: BodyView
    path: str
    lines: str
    regions: list[Region]
    offset: int


_WHOLE = {
    "scalp": Code("43067004", "Skin of scalp"),
    "ear": Code("1902009", "Skin of ear"),
    "foot": Code("60496002", "Skin of foot"),
}
# Name, body site, code, and corners for the right half of the picture as in ``drawing``: half of a
# region that crosses the midline, or one of a pair. The first region that contains a point wins.
_Row = tuple[str, BodySite, Code | None, bool, tuple[Point, ...]]
# fmt: off
_EAR: _Row = (
    "ear", BodySite.EAR, _WHOLE["ear"], True, ((18.7, 34), (28, 34), (28, 56), (18.3, 56)),
)
_SHOULDER: _Row = (
    "shoulder", BodySite.UPPER_EXTREMITY, None, True,
    ((27.5, 80), (27.5, 89), (31, 101), (36, 112), (38.2, 124), (43, 127.4), (51, 129),
     (60.6, 127.5), (80, 122), (80, 80)),
)
_UPPER_ARM = (
    (38, 110), (80, 110), (80, 158), (66, 161), (57, 164), (47.8, 163), (40, 158), (36, 130),
)
_ELBOW = ((42, 150), (90, 150), (90, 184), (73.8, 187), (64.5, 190.6), (55, 189.4), (44, 186))
_FOREARM = ((46, 176), (95, 176), (95, 226), (81, 229), (75.5, 231.6), (69.8, 232), (56, 232))
_HAND = ((58, 222), (110, 222), (110, 292), (58, 292))
FRONT: tuple[_Row, ...] = (
    _EAR,
    ("scalp", BodySite.SCALP, _WHOLE["scalp"], False,
     ((0, 0), (30, 0), (30, 38), (19, 38), (17.4, 31), (13, 25.2), (7, 22.2), (0, 21.4))),
    ("face", BodySite.FACE, Code("73897004", "Skin of face"), False,
     ((0, 10), (30, 10), (30, 56), (18.2, 56), (16.9, 59.6), (14.2, 65.2), (10.2, 70), (5.2, 73.2),
      (0, 74.2))),
    ("neck", BodySite.NECK, Code("11584001", "Skin of anterior portion of neck"), False,
     ((0, 60), (24, 56), (24, 87.4), (17, 88.6), (10, 91.6), (4.2, 94.6), (0, 95.2))),
    _SHOULDER,
    ("chest", BodySite.CHEST, Code("244106003", "Skin of anterior surface of thorax"), False,
     ((0, 80), (40, 80), (39.6, 124), (38, 153), (27, 153), (15, 150.4), (6, 146.4), (0, 145))),
    ("genital area", BodySite.GENITAL, Code("60944009", "Skin of external genitalia"), False,
     ((0, 208), (9, 208), (7.4, 219), (4.8, 228), (3.4, 237), (0, 237))),
    ("abdomen", BodySite.ABDOMEN, Code("75093004", "Skin of abdomen"), False,
     ((0, 140), (40, 140), (42, 200), (36.4, 200.4), (31.5, 203.5), (22.5, 212), (9, 223),
      (0, 226))),
    ("thigh", BodySite.LOWER_EXTREMITY, Code("61248009", "Skin of anterior surface of thigh"), True,
     ((0, 196), (45, 196), (46, 302), (33, 303.6), (22, 305.6), (11, 303.6), (0, 302))),
    ("knee", BodySite.LOWER_EXTREMITY, Code("181553006", "Skin of anterior surface of knee"), True,
     ((0, 296), (46, 296), (46, 332), (32, 333), (21.6, 335.4), (11, 333), (0, 332))),
    ("lower leg", BodySite.LOWER_EXTREMITY,
     Code("25763004", "Skin of anterior surface of lower leg"), True,
     ((0, 326), (46, 326), (46, 400), (26, 401.6), (21.5, 403.4), (17, 401.6), (0, 400))),
    ("top of the foot", BodySite.FOOT, _WHOLE["foot"], True,
     ((0, 396), (50, 396), (50, 436), (0, 436))),
    ("upper arm", BodySite.UPPER_EXTREMITY,
     Code("45981001", "Skin of anterior surface of upper arm"), True, _UPPER_ARM),
    ("crook of the arm", BodySite.UPPER_EXTREMITY,
     Code("17957002", "Skin of antecubital fossa"), True, _ELBOW),
    ("forearm", BodySite.UPPER_EXTREMITY,
     Code("70559009", "Skin of anterior surface of forearm"), True, _FOREARM),
    ("palm", BodySite.ACRAL, Code("70887009", "Skin of palm of hand"), True, _HAND),
)
BACK: tuple[_Row, ...] = (
    _EAR,
    ("scalp", BodySite.SCALP, _WHOLE["scalp"], False,
     ((0, 0), (30, 0), (30, 54), (17.6, 57), (11.6, 62.6), (6.6, 65), (0, 65.4))),
    ("neck", BodySite.NECK, Code("4658004", "Skin of nuchal region"), False,
     ((0, 50), (24, 50), (24, 87.4), (14, 88.4), (6, 90.6), (0, 91.4))),
    _SHOULDER,
    ("upper back", BodySite.BACK, Code("244111001", "Skin of posterior surface of thorax"), False,
     ((0, 80), (40, 80), (39.6, 124), (38, 153), (20, 154.6), (0, 155.4))),
    ("lower back", BodySite.BACK, Code("113182001", "Skin of lower back"), False,
     ((0, 148), (40, 148), (42, 193), (33, 193.6), (20, 191.4), (9, 194), (0, 199))),
    ("buttock", BodySite.TRUNK, Code("22180002", "Skin of buttock"), True,
     ((0, 186), (45, 186), (46, 230), (37, 230.6), (29, 233.6), (21, 238), (11, 238.4),
      (2.6, 234.4), (0, 232))),
    ("thigh", BodySite.LOWER_EXTREMITY,
     Code("4578000", "Skin of posterior surface of thigh"), True,
     ((0, 226), (46, 226), (46, 302), (33, 303.6), (22, 305), (11, 303.6), (0, 302))),
    ("hollow of the knee", BodySite.LOWER_EXTREMITY,
     Code("84507004", "Skin of popliteal fossa"), True,
     ((0, 296), (46, 296), (46, 332), (32, 332.6), (21.6, 334), (11, 332.6), (0, 332))),
    ("calf", BodySite.LOWER_EXTREMITY,
     Code("47224004", "Skin of posterior surface of lower leg"), True,
     ((0, 326), (46, 326), (46, 402), (26, 403), (21.5, 404), (17, 403), (0, 402))),
    ("sole", BodySite.ACRAL, _WHOLE["foot"], True,
     ((54, 336), (108, 336), (108, 434), (54, 434))),
    ("heel", BodySite.FOOT, Code("84607009", "Skin of heel"), True,
     ((0, 396), (50, 396), (50, 436), (0, 436))),
    ("upper arm", BodySite.UPPER_EXTREMITY,
     Code("72939005", "Skin of posterior surface of upper arm"), True, _UPPER_ARM),
    ("elbow", BodySite.UPPER_EXTREMITY,
     Code("181536004", "Skin of posterior surface of elbow"), True, _ELBOW),
    ("forearm", BodySite.UPPER_EXTREMITY,
     Code("41550009", "Skin of posterior surface of forearm"), True, _FOREARM),
    ("back of the hand", BodySite.HAND, Code("33712006", "Skin of hand"), True, _HAND),
)
# fmt: on


def label(name: str, side: str | None) -> str:
    """The region in everyday words: "Left upper arm"; for an unpaired region just its name."""
    found = f"{Side(side).label} {name}" if side and side != Side.MIDLINE else name
    return found[0].upper() + found[1:]


def where(view: str, name: str, side: str | None) -> str:
    """With the view if both figures have such a region: "Left forearm, back"."""
    in_both = all(named(one, name) for one in BodyView.values)
    return f"{label(name, side)}, {BodyView(view).label.lower()}" if in_both else label(name, side)


@cache
def figures() -> list[Figure]:
    bare, with_soles = drawing.path(drawing.body()), "".join(map(drawing.path, drawing.soles()))
    return [
        Figure(
            BodyView.FRONT,
            bare,
            drawing.lines(drawing.FRONT_LINES),
            list(_regions(BodyView.FRONT, FRONT)),
            0,
        ),
        Figure(
            BodyView.BACK,
            bare + with_soles,
            drawing.lines(drawing.BACK_LINES),
            list(_regions(BodyView.BACK, BACK)),
            WIDTH,
        ),
    ]


def regions() -> list[Region]:
    return [region for figure in figures() for region in figure.regions]


def region_at(view: str, x: float, y: float) -> Region | None:
    """The region at a point; None outside the body. x, y: shares of a figure's width and height."""
    found = regions_at(view, np.array([x * WIDTH]), np.array([y * HEIGHT]))
    number = int(found[0])
    return None if number < 0 else _of(view)[number]


def named(view: str, name: str) -> Region | None:
    """A region by name, either one of a pair: for properties that both share."""
    return next((one for one in regions() if one.view == view and one.name == name), None)


def side_at(region: Region, x: float) -> Side:
    """The side from the person's point of view: their left is on the right of a front view."""
    if region.side is not None:
        return region.side
    beside = x * WIDTH - MIDDLE
    if abs(beside) <= MIDLINE:
        return Side.MIDLINE
    return _side(region.view, is_right_half=beside > 0)


@cache
def middles() -> dict[str, Point]:
    """By region key, a point well inside it, as shares of the figure's width and height."""
    return {key: point for view in BodyView.values for key, point in _middles(view)}


def _regions(view: BodyView, rows: tuple[_Row, ...]) -> Iterator[Region]:
    for name, site, code, is_pair, corners in rows:
        right = [(MIDDLE + x, y) for x, y in corners]
        left = [(MIDDLE - x, y) for x, y in reversed(corners)]
        if is_pair:
            yield Region(view, name, _side(view, is_right_half=True), site, code, right)
            yield Region(view, name, _side(view, is_right_half=False), site, code, left)
        else:
            yield Region(view, name, None, site, code, right + left)


def _side(view: BodyView, *, is_right_half: bool) -> Side:
    return Side.LEFT if is_right_half == (view == BodyView.FRONT) else Side.RIGHT


def _of(view: str) -> list[Region]:
    return [region for region in regions() if region.view == view]


@cache
def _parts(view: str) -> list[list[Point]]:
    outlines = [drawing.body(), *(drawing.soles() if view == BodyView.BACK else [])]
    return [drawing.flattened(outline) for outline in outlines]


def regions_at(
    view: str, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """The indices of the regions in ``_of(view)`` that contain the points, -1 outside the body.

    x, y: in the figure's units.
    """
    found = np.full(x.shape, -1)
    for number, region in reversed(list(enumerate(_of(view)))):
        found[drawing.is_inside(region.corners, x, y)] = number
    on_body = np.zeros(x.shape, bool)
    for part in _parts(view):
        on_body |= drawing.is_inside(part, x, y)
    return np.where(on_body, found, -1)


def _middles(view: str) -> Iterator[tuple[str, Point]]:
    """The grid point in each region that is nearest to the mean of all grid points in it."""
    x, y = np.meshgrid(np.arange(0.0, WIDTH, FINEST), np.arange(0.0, HEIGHT, FINEST))
    holders = regions_at(view, x, y)
    for number, region in enumerate(_of(view)):
        within = np.argwhere(holders == number)
        row, column = within[((within - within.mean(axis=0)) ** 2).sum(axis=1).argmin()]
        yield region.key, (float(x[row, column]) / WIDTH, float(y[row, column]) / HEIGHT)
