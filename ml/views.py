"""An image of any size -> the square views of it that the network sees. The same at every reading.

An image is first brought to the resolution of the training data (short side SHORT_SIDE), whatever
it has: the network has never seen finer detail and must not meet any. Then come the views: the
middle, both ends of the longer side, closer and farther, turned and mirrored, so that no single
framing decides. The network's answers on them are averaged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

SHORT_SIDE = 150
VIEW_SIDE = 192
MAX_SHIFT = 25
"""Pixels of the reduced image: both ends of a 4:3 image, and no farther out in a longer one."""


@dataclass(frozen=True, slots=True)
class View:
    """A square crop: its share of the short side, where on the longer one (-1..1), its pose."""

    share: float
    shift: int
    quarter_turns: int
    mirrored: bool


VIEWS = (
    View(1.0, 0, 0, False),
    View(1.0, 0, 2, True),
    View(1.0, -1, 1, False),
    View(1.0, 1, 3, True),
    View(0.8, 0, 0, True),
    View(0.8, 0, 1, False),
)


def reduce(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    """uint8 [h, w, 3] sRGB to an image whose short side is SHORT_SIDE, anti-aliased."""
    height, width = pixels.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    size = (max(SHORT_SIDE, round(width * scale)), max(SHORT_SIDE, round(height * scale)))
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def views(reduced: Image.Image) -> npt.NDArray[np.float32]:
    """[len(VIEWS), VIEW_SIDE, VIEW_SIDE, 3], 0..255."""
    return np.stack([_view(reduced, view) for view in VIEWS])


def _view(reduced: Image.Image, view: View) -> npt.NDArray[np.float32]:
    side = SHORT_SIDE * view.share
    room_x, room_y = (reduced.width - SHORT_SIDE) / 2, (reduced.height - SHORT_SIDE) / 2
    left = (reduced.width - side) / 2 + view.shift * min(room_x, MAX_SHIFT)
    top = (reduced.height - side) / 2 + view.shift * min(room_y, MAX_SHIFT)
    square = reduced.resize(
        (VIEW_SIDE, VIEW_SIDE),
        Image.Resampling.BILINEAR,
        box=(left, top, left + side, top + side),
    )
    values = np.rot90(np.asarray(square, np.float32), view.quarter_turns)
    return values[:, ::-1] if view.mirrored else values
