"""A small library of cases confirmed by histology, and which of them a reading resembles.

Likeness is the cosine of the network's features. It is no probability and proves nothing.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ml.diagnoses import Diagnosis
from ml.reader import ARTIFACTS

FILE = Path(__file__).parent / "cases.csv"
"""The cases, made by ``python -m ml cases``. Their pictures are in ``static/cases``."""
FEATURES = "cases.npy"
"""In a model version's folder: float16 [n, width], unit length, in the order of FILE."""
ATTRIBUTIONS = {
    "HAM10000": "Tschandl, Rosendahl and Kittler, HAM10000, CC BY-NC 4.0",
    "ISIC2017": "Codella and others, ISIC 2017, CC0",
    "MILK10K": "MILK study team, MILK10k, CC BY-NC 4.0",
}


@dataclass(frozen=True, slots=True)
class Case:
    """source: a key of ATTRIBUTIONS. detail: the source's own words for the diagnosis. age: years,
    None if unknown. sex, localization: as in ``ml.types``, "" if unknown.
    """

    image_id: str
    source: str
    dx: Diagnosis
    detail: str
    age: float | None
    sex: str
    localization: str

    @property
    def picture(self) -> str:
        """Below the static files."""
        return f"cases/{self.image_id}.webp"

    @property
    def attribution(self) -> str:
        return ATTRIBUTIONS[self.source]


@lru_cache
def cases() -> tuple[Case, ...]:
    with FILE.open(newline="", encoding="utf-8") as opened:
        return tuple(
            Case(
                image_id=row["image_id"],
                source=row["source"],
                dx=Diagnosis(row["dx"]),
                detail=row["detail"],
                age=float(row["age"]) if row["age"] else None,
                sex=row["sex"],
                localization=row["localization"],
            )
            for row in csv.DictReader(opened)
        )


def nearest(
    version: str, features: npt.NDArray[np.floating], count: int
) -> list[tuple[Case, float]]:
    """The most similar cases and their cosine, -1..1, the closest first.

    features: [width], of a reading by ``version``. Empty for a version without a library.
    """
    library = _features(version)
    if library is None:
        return []
    alike = library @ unit(features)
    order = np.argsort(-alike, kind="stable")[:count]
    return [(cases()[n], float(alike[n])) for n in order]


def unit(features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Rows at unit length. A row of zeros stays one."""
    wide = np.asarray(features, np.float32)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    found: npt.NDArray[np.float32] = (wide / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return found


@lru_cache
def _features(version: str) -> npt.NDArray[np.float32] | None:
    file = ARTIFACTS / version / FEATURES
    if not file.is_file():
        return None
    stored: npt.NDArray[np.float32] = np.asarray(np.load(file), np.float32)
    return stored
