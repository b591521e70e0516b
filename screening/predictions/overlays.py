"""Overlays on the result page's picture: the lesion's border and the evidence map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.diagnoses import Diagnosis
from screening.measurements.contours import Point, outline
from screening.measurements.masks import model_mask
from screening.models import PredictionMaps

LEVELS = 255
NONE = "Nothing in the picture points to {name} more than to the other diagnoses."
FOUND = (
    "Coloured: what the model took for a sign of {name}.{where} "
    "It is not the border of the spot, and proves nothing."
)
INSIDE = " About {} % of it lies inside the outline."


@dataclass(frozen=True, slots=True)
class Overlays:
    """outline: the lesion's border, x and y 0..1 across the picture; empty if none was found.
    across, down: size of the evidence grid as shares of the picture's; slightly over 1 if the last
    cells extend past the edge. grid: the data for ``static/js/overlays.js``: ``columns``, ``rows``,
    and by diagnosis the ``levels`` of the cells row by row, 0..LEVELS on one scale for all, and the
    ``words`` that describe them.
    """

    outline: list[Point]
    across: float
    down: float
    grid: dict[str, Any]


def overlays_of(maps: PredictionMaps) -> Overlays:
    """Raises Unreadable."""
    mask = model_mask(maps)
    height, width = mask.shape
    favour = _favour(np.array(maps.evidence))
    rows, columns = favour.shape[:2]
    levels = np.rint(favour * (LEVELS / (favour.max() or 1))).astype(int)
    covered = _covered(mask, maps.evidence_cell, rows, columns)
    return Overlays(
        outline=outline(mask),
        across=columns * maps.evidence_cell / width,
        down=rows * maps.evidence_cell / height,
        grid={
            "columns": columns,
            "rows": rows,
            "levels": {d.value: levels[..., n].ravel().tolist() for n, d in enumerate(Diagnosis)},
            "words": {d.value: _words(d, favour[..., n], covered) for n, d in enumerate(Diagnosis)},
        },
    )


def _favour(evidence: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The evidence for each diagnosis beyond the average of all; 0 without any.

    Adding the same value to all logits changes no probability, so it is not evidence.
    """
    favour: npt.NDArray[np.float64] = np.maximum(0, evidence - evidence.mean(-1, keepdims=True))
    return favour


def _covered(
    mask: npt.NDArray[np.bool_], cell: int, rows: int, columns: int
) -> npt.NDArray[np.float64]:
    """[rows, columns]: the share of each cell that the mask covers."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, rows * cell - height), (0, columns * cell - width)))
    shares: npt.NDArray[np.float64] = padded.reshape(rows, cell, columns, cell).mean((1, 3))
    return shares


def _words(
    diagnosis: Diagnosis, favour: npt.NDArray[np.float64], covered: npt.NDArray[np.float64]
) -> str:
    """What the evidence map means and does not mean, and where the evidence lies, in words for
    people who cannot see it.
    """
    name = Diagnosis(diagnosis).about.title
    name = name[0].lower() + name[1:]
    if not favour.any():
        return NONE.format(name=name)
    where = ""
    if covered.any():
        inside = float((favour * covered).sum() / favour.sum())
        where = INSIDE.format(f"{inside * 100:.0f}")
    return FOUND.format(name=name, where=where)
