"""Cases confirmed by histology that look most like a picture to the network.

For clinicians only: likeness proves nothing, and a layperson would take a picture for an answer.
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
    """cases: the most similar first. known: how many there are to choose from. same: of 100 of
    the five nearest, how many have the picture's own diagnosis, in the source of pictures where
    they have it least and in the one where they have it most.
    """

    cases: list[Case]
    known: int
    same: tuple[int, int]


def similar(maps: PredictionMaps, version: str) -> Similar | None:
    """version: of the model that made the maps. None for one without features or a library.
    Raises Unreadable.
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
