"""The square views of an image that the network sees, the same at every reading.

An image is first reduced to the resolution of the training data (short side SHORT_SIDE), whatever
its own: the network has seen no finer detail and must not meet any. The views are the centre, both
ends of the longer side, closer and farther crops, turned and mirrored, so that no single framing
decides. The network's outputs for them are averaged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

SHORT_SIDE = 150
VIEW_SIDE = 160
"""The default size for export: that of the last training epochs. An exported network keeps its
own.
"""
REDUCING_GAP = 3.0
"""How much larger an image may be, at most, when its pixels are weighted; see Pillow's `resize`."""
EVIDENCE_CELL = 10
"""Pixels of the reduced image."""
MAX_SHIFT = 25
"""Pixels of the reduced image: both ends of a 4:3 image, and no farther out in a longer one."""


@dataclass(frozen=True, slots=True)
class View:
    """A square crop: its share of the short side, its place along the longer one (-1..1), its
    pose.
    """

    share: float
    shift: int
    quarter_turns: int
    mirrored: bool


@dataclass(frozen=True, slots=True)
class Box:
    """Part of a picture, as shares of its width and height: 0..1, from its top left corner."""

    left: float
    top: float
    right: float
    bottom: float

    def of(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """That part of an image [h, w, 3] of any size."""
        return np.ascontiguousarray(pixels[self.on(*pixels.shape[:2])])

    def on(self, height: int, width: int) -> tuple[slice, slice]:
        """Its rows and columns in an image of this size."""
        rows = slice(round(self.top * height), max(1, round(self.bottom * height)))
        columns = slice(round(self.left * width), max(1, round(self.right * width)))
        return rows, columns


VIEWS = (
    View(1.0, 0, 0, False),
    View(1.0, 0, 2, True),
    View(1.0, -1, 1, False),
    View(1.0, 1, 3, True),
    View(0.8, 0, 0, True),
    View(0.8, 0, 1, False),
)


def reduce(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    """Reduce uint8 [h, w, 3] sRGB to an image whose short side is SHORT_SIDE, anti-aliased."""
    height, width = pixels.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    size = (max(SHORT_SIDE, round(width * scale)), max(SHORT_SIDE, round(height * scale)))
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)


def views(reduced: Image.Image, side: int = VIEW_SIDE) -> npt.NDArray[np.float32]:
    """[len(VIEWS), side, side, 3], 0..255."""
    shown = np.empty((len(VIEWS), side, side, 3), np.float32)
    for place, view in zip(shown, VIEWS, strict=True):
        place[:] = _view(reduced, view, side)
    return shown


def masks_on_frame(
    masks: npt.NDArray[np.float32], size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """The views' values for each pixel, averaged where they overlap; 0 outside all views.

    masks [len(VIEWS), s, s]: values in each view. size: width, height of the reduced image. Returns
    [height, width].
    """
    width, height = size
    total, seen = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for view, values in zip(VIEWS, masks, strict=True):
        box = _box(view, width, height)
        rows, columns = _pixels(box.top, box.side, height), _pixels(box.left, box.side, width)
        window = Image.fromarray(_upright(view, values)).resize(
            (columns.stop - columns.start, rows.stop - rows.start),
            Image.Resampling.BILINEAR,
        )
        total[rows, columns] += np.asarray(window)
        seen[rows, columns] += 1
    return (total / np.maximum(seen, 1)).astype(np.float32)


def evidence_on_frame(
    evidence: npt.NDArray[np.float32], size: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """The views' evidence, distributed on one grid over the image; the total is preserved.

    evidence [len(VIEWS), c, c, k]: of each view's cells; their mean is the view's output. Each cell
    is distributed over the grid's cells by overlap, so that the sum over the grid [rows, columns,
    k] (cells of EVIDENCE_CELL pixels) is the mean of all views.
    """
    width, height = size
    grid = np.zeros((-(-height // EVIDENCE_CELL), -(-width // EVIDENCE_CELL), evidence.shape[-1]))
    cells = evidence.shape[1]
    for view, values in zip(VIEWS, evidence, strict=True):
        box = _box(view, width, height)
        down = _overlap(box.top, box.side, cells, grid.shape[0])
        across = _overlap(box.left, box.side, cells, grid.shape[1])
        by_row = np.tensordot(down, _upright(view, values), axes=1)
        grid += across @ by_row
    return grid / (len(VIEWS) * cells * cells)


def mask_of_part(
    mask: npt.NDArray[np.float32], box: Box, size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """The values of a part's pixels [h, w], placed in the whole: [height, width], 0 elsewhere.

    size: width, height of the reduced whole.
    """
    width, height = size
    whole = np.zeros((height, width), np.float32)
    place = whole[box.on(height, width)]
    resized = Image.fromarray(mask).resize(place.shape[::-1], Image.Resampling.BILINEAR)
    place[:] = np.asarray(resized)
    return whole


def evidence_of_part(
    evidence: npt.NDArray[np.float64], box: Box, own: tuple[int, int], size: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """A part's evidence distributed on the grid of the whole; the total is preserved.

    evidence [rows, columns, classes] of the part. own, size: width, height of the part and of the
    whole, both reduced. Returns the same for the whole.
    """
    (width, height), (own_width, own_height) = size, own
    down = _spread(evidence.shape[0], own_height, box.top * height, box.bottom * height, height)
    across = _spread(evidence.shape[1], own_width, box.left * width, box.right * width, width)
    laid: npt.NDArray[np.float64] = across @ np.tensordot(down, evidence, axes=1)
    return laid


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    side: float


def _box(view: View, width: int, height: int) -> _Box:
    """The view's area on the reduced image, in pixels."""
    side = SHORT_SIDE * view.share
    room_x, room_y = (width - SHORT_SIDE) / 2, (height - SHORT_SIDE) / 2
    left = (width - side) / 2 + view.shift * min(room_x, MAX_SHIFT)
    top = (height - side) / 2 + view.shift * min(room_y, MAX_SHIFT)
    return _Box(left, top, side)


def _view(reduced: Image.Image, view: View, side: int) -> npt.NDArray[np.uint8]:
    box = _box(view, reduced.width, reduced.height)
    square = reduced.resize(
        (side, side),
        Image.Resampling.BILINEAR,
        box=(box.left, box.top, box.left + box.side, box.top + box.side),
    )
    values = np.rot90(np.asarray(square), view.quarter_turns)
    return values[:, ::-1] if view.mirrored else values


def _upright(view: View, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[s, s, ...] of a view, turned back to the image's orientation."""
    return np.rot90(values[:, ::-1] if view.mirrored else values, -view.quarter_turns)


def _pixels(start: float, side: float, limit: int) -> slice:
    """The whole pixels that a stretch covers."""
    return slice(max(0, round(start)), min(limit, round(start + side)))


def _overlap(start: float, side: float, cells: int, count: int) -> npt.NDArray[np.float64]:
    """[count, cells]: the share of each of a view's cells that lies in each cell of the grid."""
    edges = start + side * np.arange(cells + 1) / cells
    lines = np.arange(count + 1.0) * EVIDENCE_CELL
    low = np.maximum(edges[None, :-1], lines[:-1, None])
    high = np.minimum(edges[None, 1:], lines[1:, None])
    overlap: npt.NDArray[np.float64] = np.maximum(0.0, high - low) * cells / side
    return overlap


def _spread(
    cells: int, own: int, start: float, stop: float, length: int
) -> npt.NDArray[np.float64]:
    """[count, cells]: the share of each cell of a part's grid that lies in each cell of the
    whole's.

    own: the part's length in its own pixels; start..stop: the same in pixels of the whole.
    """
    edges = np.minimum(np.arange(cells + 1) * EVIDENCE_CELL, own) * (stop - start) / own + start
    lines = np.arange(-(-length // EVIDENCE_CELL) + 1.0) * EVIDENCE_CELL
    low = np.maximum(edges[None, :-1], lines[:-1, None])
    high = np.minimum(edges[None, 1:], lines[1:, None])
    share: npt.NDArray[np.float64] = np.maximum(0.0, high - low) / np.diff(edges)
    return share
