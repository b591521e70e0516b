"""Results on degraded versions of images whose diagnosis is known: how many count as dermatoscopic,
their outcomes, and whether those still separate cancer from harmless lesions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from ml import calibrate, figures, reader
from ml.inference.litert import Network
from ml.inference.look import Rules, look
from ml.outcome import DANGEROUS, p_malignant
from ml.training.data import Part
from ml.training.sources import Sources
from ml.types import Outcome, PatientContext

EACH = 30
"""Cancers of each source, and the same number of harmless lesions."""
Spoil = Callable[[Image.Image], Image.Image]


def kinds() -> dict[str, Spoil]:
    """By name: blur in pixels of a 150 pixel side; pixels of the shorter side; remaining light."""

    def toned(low: float, high: float) -> Spoil:
        curve = [round(low + (high - low) * value / 255) for value in range(256)]
        return lambda image: image.point(curve * 3)

    def shrunk(side: int) -> Spoil:
        return lambda image: image.resize((side * image.width // image.height, side))

    blurs = {
        f"blurred by {radius}": lambda image, radius=radius: image.filter(
            ImageFilter.GaussianBlur(radius * image.height / 150)
        )
        for radius in (1, 2, 3, 4, 6, 8, 12)
    }
    return {
        "as it is": lambda image: image,
        **blurs,
        **{f"{side} pixels": shrunk(side) for side in (75, 50, 30, 20, 12)},
        **{f"dark, {light:.0%} left": toned(0, 255 * light) for light in (0.5, 0.3, 0.2, 0.1)},
        **{f"pale, {dark:.0%} left": toned(255 - 255 * dark, 255) for dark in (0.5, 0.3, 0.2, 0.1)},
        "without colour": lambda image: image.convert("L").convert("RGB"),
    }


def degraded(version: str, sources: Sources) -> str:
    """The results as a Markdown table. Raises ModelUnavailable, or ValueError if data is
    missing.
    """
    rules = Rules.of(reader.card(version))
    network = Network(reader.ARTIFACTS / version / "model.tflite")
    frames, cancers = [], []
    for examples in sources.judging(Part.TUNE).values():
        cancer = np.isin(examples.labels, calibrate.MALIGNANT_COLUMNS)
        order = np.random.default_rng(0).permutation(len(examples))
        for wanted in (True, False):
            chosen = order[cancer[order] == wanted][:EACH]
            frames += list(examples.pixels[chosen])
            cancers += [wanted] * len(chosen)
    cancer = np.array(cancers)
    lines = [
        f"| {cancer.sum()} cancers, {(~cancer).sum()} harmless | count as dermatoscopic | told to "
        "see a doctor | told to watch | AUC of p_malignant |",
        "|---|---|---|---|---|",
    ]
    for name, spoil in kinds().items():
        looks = [
            look(network, np.asarray(spoil(Image.fromarray(frame))), PatientContext())
            for frame in frames
        ]
        counted = np.array([one.in_distribution >= rules.floor for one in looks])
        outcomes = np.array([one.told(rules)[0].value for one in looks])
        scores = np.array([p_malignant(rules.probabilities(one.seen.logits)) for one in looks])
        heard, watched = np.isin(outcomes, DANGEROUS), outcomes == Outcome.MONITOR
        shares = " | ".join(
            f"{_percent(part[cancer])}, {_percent(part[~cancer])}"
            for part in (counted, heard, watched)
        )
        lines.append(f"| {name} | {shares} | {figures.auc(scores, cancer):.2f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def _percent(part: figures.Bools) -> str:
    return f"{100 * figures.share(part):.0f} %"
