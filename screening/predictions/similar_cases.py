"""Cases confirmed by histology that look most like a picture to the network.

For clinicians only: similarity proves nothing, and a layperson would take a picture for an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np

from ml import reader
from ml.cases import Case, nearest
from screening.models import PredictionMaps

COUNT = 5


@dataclass(frozen=True, slots=True)
class Similar:
    """cases: the most similar first. known: how many there are to choose from. same: how many of
    the five nearest, in per cent, have the picture's own diagnosis: for the source of pictures with
    the lowest share, and for the one with the highest.
    """

    cases: list[Case]
    known: int
    same: tuple[int, int]


def similar(maps: PredictionMaps, version: str) -> Similar | None:
    """The most similar cases; None for a version without features or a library.

    version: of the model that made the maps. Raises Unreadable.
    """
    features = np.frombuffer(bytes(maps.features or b""), np.float16)
    found = nearest(version, features, COUNT) if features.size else []
    if not found:
        return None
    figures = reader.card(version)["similar_cases"]
    shares = [
        floor(round(100 * source["precision_at_5"], 4)) for source in figures["tune"].values()
    ]
    return Similar([case for case, _ in found], figures["cases"], (min(shares), max(shares)))
