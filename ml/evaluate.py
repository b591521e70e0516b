"""Calibrate a run on the tune part, judge it on the test part, and write its model card.

Everything is read through LiteRT, by the very code that the reader runs.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ml import calibrate, context, data, figures, judge
from ml.card import describe
from ml.data import Examples, Part
from ml.export import convert
from ml.judge import Calibration, Read, read_all
from ml.litert import Network
from ml.network import load
from ml.types import Diagnosis
from ml.views import reduce, views

RULES = {
    "sensitivity": 0.96,
    "melanoma_sensitivity": 0.96,
    "precision": 0.70,
    "melanoma_precision": 0.50,
}
FALSE_REJECTIONS = 0.0025
DIFFERENCE_IMAGES = 32


def fit(
    prior: calibrate.Floats, tune: Examples, read: Read, gates: calibrate.Floats
) -> Calibration:
    """Temperature and thresholds from the tune part; gates: in_distribution of all that is tuned
    on, of which FALSE_REJECTIONS may be rejected."""
    temperature = calibrate.fit_temperature(read.logits, tune.labels, prior)
    probabilities = calibrate.calibrated(read.logits, prior, temperature)
    return Calibration(
        prior,
        temperature,
        calibrate.thresholds(probabilities, tune.labels, RULES),
        float(np.quantile(gates, FALSE_REJECTIONS)),
    )


def evaluate(run: Path, ham10000: Path, isic2017: Path | None, negatives: Path | None) -> None:
    """Write model.tflite and card.json beside the run's model.keras.

    Raises ValueError where the run or data is missing.
    """
    model, network = _converted(run)
    whole = data.load_ham10000(ham10000)
    tune, test = whole.part(Part.TUNE), whole.part(Part.TEST)
    other = data.load_isic2017(isic2017) if isic2017 else None
    print(f"reading {len(tune)} tune and {len(test)} test images of HAM10000", flush=True)
    tune_read = read_all(network, tune.pixels, tune.known)
    gates = [tune_read.in_distribution]
    if other:
        part = other.part(Part.TUNE)
        gates.append(read_all(network, part.pixels, part.known).in_distribution)
    prior = _prior(whole.part(Part.TRAIN))
    calibration = fit(prior, tune, tune_read, np.concatenate(gates))
    test_read = read_all(network, test.pixels, test.known)
    measured: dict[str, Any] = {
        "figures": judge.test_figures(calibration, test, test_read),
        "tune": judge.tune_figures(calibration, tune, tune_read),
        "gate": judge.gate_figures(calibration.gate, network, test, test_read, negatives),
        "keras_litert_max_difference": difference(model, network, test),
    }
    if other:
        measured["isic2017"] = judge.other_cameras(calibration, network, other.part(Part.TEST))
    card = describe(
        weights_sha256=hashlib.sha256((run / "model.tflite").read_bytes()).hexdigest(),
        calibration={
            "temperature": calibration.temperature,
            "prior": dict(zip(map(str, Diagnosis), prior.tolist(), strict=True)),
            "thresholds": calibration.thresholds,
        },
        rules={**RULES, "false_rejections": FALSE_REJECTIONS},
        measured=measured,
        examples=whole,
        others=other,
        recipe=json.loads((run / "recipe.json").read_text(encoding="utf-8")),
    )
    text = json.dumps(plain(card), indent=1, ensure_ascii=False)
    (run / "card.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def trial(run: Path, ham10000: Path, isic2017: Path | None) -> None:
    """Print what a run gives on the tune parts: for choices, which must not see the test parts.

    Raises ValueError where the run or data is missing.
    """
    _, network = _converted(run)
    whole = data.load_ham10000(ham10000)
    tune = whole.part(Part.TUNE)
    read = read_all(network, tune.pixels, tune.known)
    calibration = fit(_prior(whole.part(Part.TRAIN)), tune, read, read.in_distribution)
    found: dict[str, Any] = {
        "figures": figures.measure(calibration.answers(read.logits, tune)),
        "context_unknown": figures.measure(calibration.answers(read.image_logits, tune)),
        "mask": judge.mask_figures(tune, read),
    }
    if isic2017:
        part = data.load_isic2017(isic2017).part(Part.TUNE)
        found["isic2017"] = judge.other_cameras(calibration, network, part)
    print(json.dumps(plain(found), indent=1))


def _converted(run: Path) -> tuple[keras.Model, Network]:
    """The run's network, and the same as LiteRT, which is written beside it."""
    if not (run / "model.keras").is_file():
        raise ValueError(f"{run} holds no model.keras: train it first")
    model = load(run / "model.keras")
    convert(model, run / "model.tflite")
    return model, Network(run / "model.tflite")


def _prior(train: Examples) -> calibrate.Floats:
    """[7]: each diagnosis' share of the images."""
    prior: calibrate.Floats = np.bincount(train.labels, minlength=len(Diagnosis)) / len(train)
    return prior


def difference(model: keras.Model, network: Network, test: Examples) -> float:
    """The largest difference of any logit, Keras against LiteRT, over real images."""
    largest = 0.0
    for frame, known in zip(
        test.pixels[:DIFFERENCE_IMAGES], test.known[:DIFFERENCE_IMAGES], strict=True
    ):
        reduced = reduce(frame)
        pixels = keras.ops.convert_to_tensor(views(reduced))
        encoded = np.tile(context.encode(known), (len(pixels), 1))
        outputs = model({"pixels": pixels, "context": keras.ops.convert_to_tensor(encoded)})
        expected = keras.ops.convert_to_numpy(outputs["logits"]).mean(axis=0)
        gap = np.abs(expected - network.see(reduced, known).logits).max()
        largest = max(largest, float(gap))
    return largest


def plain(value: Any) -> Any:
    """The same for JSON: six digits are enough, and what cannot be measured is null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return None if np.isnan(value) else float(f"{value:.6g}")
    return value
