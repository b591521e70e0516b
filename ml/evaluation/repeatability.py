"""How much two images of an unchanged lesion differ: the limits of the change rules.

HAM10000 shows some lesions more than once. Those pictures were taken close together, so differences
come from the capture: framing, magnification, light, focus. Half of the lesions set the limits; the
other half shows how often a rule would fire on them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml import reader
from ml.inference.views import reduce
from ml.lesion import change, change_rules, register
from ml.lesion.change import Change, Visit
from ml.lesion.measure import Measures, NotMeasurable, measure
from ml.training import data
from ml.types import PatientContext

PAIRS = 1000
SHARE = 0.97
"""The share of unchanged pairs that stays within a rule's limit."""
AGREEMENT = 0.95
"""Limits of agreement of the measurements (Bland & Altman 1986, doi:10.1016/S0140-6736(86)90837-8),
computed from ranks because the differences are not normal.
"""
NUMBERS = ("growth", "one_sided", "focal", "structure", "gained", "risk")
RATIOS = (
    *("area_px", "longest_diameter_px", "shortest_diameter_px", "perimeter_px"),
    "border_irregularity",
)
DIFFERENCES = ("asymmetry_shape", "asymmetry_colour", "colour_variegation", "ita_degrees")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images of a lesion: their differences, and the size ratio that the alignment removed."""

    change: Change
    earlier: Measures
    later: Measures
    size: float


def repeatability(ham10000: Path, version: str) -> dict[str, Any]:
    """Measure it with a model version, write it into that version's card and return it.

    Raises ValueError without data or masks, ModelUnavailable without the version.
    """
    network = reader.load(version)
    examples = data.load_ham10000(ham10000)
    images = defaultdict(list)
    for row in np.flatnonzero(examples.masked):
        images[str(examples.lesions[row])].append(int(row))
    several = sorted((rows for rows in images.values() if len(rows) > 1), key=lambda rows: rows[0])
    if len(several) < 40:
        raise ValueError("too few lesions with two images and masks")
    chosen = [several[n] for n in np.random.default_rng(5).permutation(len(several))[:PAIRS]]

    def visit(row: int) -> Visit:
        pixels = np.asarray(reduce(examples.pixels[row]))  # the size of the reading's mask
        reading = network.read(pixels, PatientContext())
        return Visit(pixels, reading.mask, reading.p_malignant, version)

    pairs = [_pair(visit(rows[0]), visit(rows[1])) for rows in chosen]
    fitted, reported = pairs[::2], pairs[1::2]
    found = _described(fitted, reported)
    file = reader.ARTIFACTS / version / "card.json"
    card = json.loads(file.read_text(encoding="utf-8")) | {"repeatability": found}
    file.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return found


def _pair(earlier: Visit, later: Visit) -> Pair | None:
    """None if a lesion cannot be measured or the images cannot be aligned."""
    try:
        measures = measure(earlier.pixels, earlier.mask), measure(later.pixels, later.mask)
    except NotMeasurable:
        return None
    found = register.align(earlier.pixels, later.pixels, earlier.mask, later.mask)
    if found.matrix is None:
        return None
    size = float(np.sqrt(abs(np.linalg.det(found.matrix[:, :2]))))
    return Pair(change.changed(earlier, later, found.matrix, None), *measures, size)


def _described(fitted: list[Pair | None], reported: list[Pair | None]) -> dict[str, Any]:
    known, held_out = ([pair for pair in part if pair] for part in (fitted, reported))
    limits = {
        name: float(np.quantile([abs(getattr(pair.change, name)) for pair in known], SHARE))
        for name in NUMBERS
    }
    # As if a month had passed: noise would count as growth there.
    rules = [
        {one.rule for one in change_rules.fired(pair.change, 90, limits, short_term=True)}
        for pair in held_out
    ]
    long_term = set(change_rules.RULES) - {"short_term_change"}
    return {
        "where": "pairs of images of one HAM10000 lesion, aligned; half of the lesions set the "
        "limits, the other half gives the alert rates",
        "pairs": len(fitted) + len(reported),
        "pairs_aligned": len(known) + len(held_out),
        "pairs_reported": len(held_out),
        "measures": {
            **{name: _limit(known, name, _ratio, "ratio") for name in RATIOS},
            **{name: _limit(known, name, _difference, "difference") for name in DIFFERENCES},
        },
        "limits": limits,
        "alert_rates": {
            **{rule: float(np.mean([rule in one for one in rules])) for rule in change_rules.RULES},
            "any_long_term": float(np.mean([bool(one & long_term) for one in rules])),
        },
    }


def _limit(
    pairs: list[Pair], name: str, of: Callable[[Pair, str], float | None], kind: str
) -> dict[str, Any]:
    values = [abs(value) for value in (of(pair, name) for pair in pairs) if value is not None]
    return {"kind": kind, "limit": float(np.quantile(values, AGREEMENT)), "pairs": len(values)}


def _ratio(pair: Pair, name: str) -> float:
    """The logarithm of the ratio, corrected for the magnification of the two images."""
    power = {"area_px": 2, "border_irregularity": 0}.get(name, 1)
    now = getattr(pair.later, name) * pair.size**power
    return float(np.log(now / getattr(pair.earlier, name)))


def _difference(pair: Pair, name: str) -> float | None:
    before, after = getattr(pair.earlier, name), getattr(pair.later, name)
    return None if before is None or after is None else float(after - before)
