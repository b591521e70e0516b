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

from ml import calibrate, cameras, context, judge
from ml.card import describe
from ml.data import Examples, Part, Source
from ml.export import convert
from ml.judge import Calibration, Read, read_all
from ml.litert import Network
from ml.network import load
from ml.sources import Sources
from ml.types import Diagnosis, PatientContext
from ml.views import reduce, views

RULES = {
    "sensitivity": 0.96,
    "melanoma_sensitivity": 0.96,
    "precision": 0.70,
    "melanoma_precision": 0.50,
}
FALSE_REJECTIONS = 0.0025
DIFFERENCE_IMAGES = 32
CHOSEN_BY = (
    *("balanced_accuracy", "macro_auc", "auc_malignant", "auc_mel"),
    *("cancers_told", "harmless_told_monitor", "refused"),
)
"""What `trial` gives as a mean over the sources, so that none is sacrificed for another."""
Tuned = dict[Source, tuple[Examples, Read]]


def fit(
    prior: calibrate.Floats, tune: Tuned, weights: dict[Source, calibrate.Floats]
) -> Calibration:
    """Temperature, thresholds and gate from the tune parts of all sources.

    prior [7]: that of the calibrated reading; weights: each source's own, for its temperature.
    """
    temperature = calibrate.fit_temperature(
        [
            (read.logits, examples.labels, weights[source])
            for source, (examples, read) in tune.items()
        ]
    )
    probabilities = {
        source: calibrate.calibrated(read.logits, prior, temperature)
        for source, (_, read) in tune.items()
    }
    examples, _ = tune[Source.HAM10000]
    gates = np.concatenate([read.in_distribution for _, read in tune.values()])
    return Calibration(
        prior,
        temperature,
        calibrate.thresholds(probabilities[Source.HAM10000], examples.labels, RULES),
        float(np.quantile(gates, FALSE_REJECTIONS)),
    )


def read_parts(network: Network, sources: Sources, part: Part) -> Tuned:
    """A part of each source, read with what is known; ISIC 2017, which has no sites, without."""
    found = {}
    for source, examples in sources.judging(part).items():
        print(f"reading {len(examples)} images of {source.name}, {part}", flush=True)
        known = examples.known
        if source is Source.ISIC2017:
            known = (PatientContext(),) * len(examples)
        found[source] = (examples, read_all(network, examples.pixels, known))
    return found


def calibration_of(sources: Sources, tune: Tuned) -> Calibration:
    """What the tune parts decide, with HAM10000's shares as the prior."""
    shares = {
        source: _prior(examples.part(Part.TRAIN))
        for source, examples in sources.dermatoscopy.items()
    }
    return fit(shares[Source.HAM10000], tune, shares)


def evaluate(run: Path, sources: Sources) -> None:
    """Write model.tflite and card.json beside the run's model.keras.

    Raises ValueError where the run or data is missing.
    """
    model, network = _converted(run)
    tune = read_parts(network, sources, Part.TUNE)
    calibration = calibration_of(sources, tune)
    tests = read_parts(network, sources, Part.TEST)
    test, test_read = tests[Source.HAM10000]
    measured: dict[str, Any] = {
        "figures": judge.test_figures(calibration, test, test_read),
        "tune": judge.tune_figures(calibration, *tune[Source.HAM10000]),
        "gate": judge.gate_figures(calibration.gate, network, test, test_read, sources.negatives),
        "sources": {
            source.name: cameras.source_figures(calibration, examples, read)
            for source, (examples, read) in tests.items()
        },
        "keras_litert_max_difference": difference(model, network, test),
    }
    if Source.ISIC2017 in tests:
        measured["isic2017"] = judge.other_cameras(calibration, *tests[Source.ISIC2017])
    if Source.MILK10K in tests:
        measured["milk10k"] = cameras.milk10k_figures(
            calibration, network, sources, tests[Source.MILK10K]
        )
    card = describe(
        weights_sha256=hashlib.sha256((run / "model.tflite").read_bytes()).hexdigest(),
        calibration={
            "temperature": calibration.temperature,
            "prior": dict(zip(map(str, Diagnosis), calibration.prior.tolist(), strict=True)),
            "thresholds": calibration.thresholds,
        },
        rules={**RULES, "false_rejections": FALSE_REJECTIONS},
        measured=measured,
        sets=sources.dermatoscopy,
        recipe=json.loads((run / "recipe.json").read_text(encoding="utf-8")),
    )
    text = json.dumps(plain(card), indent=1, ensure_ascii=False)
    (run / "card.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def trial(run: Path, sources: Sources) -> None:
    """Print what a run gives on the tune parts: for choices, which must not see the test parts.

    Raises ValueError where the run or data is missing.
    """
    _, network = _converted(run)
    tune = read_parts(network, sources, Part.TUNE)
    calibration = calibration_of(sources, tune)
    found: dict[str, Any] = {
        "temperature": calibration.temperature,
        "thresholds": calibration.thresholds,
        "gate": calibration.gate,
        "mask": judge.mask_figures(*tune[Source.HAM10000]),
    }
    for source, (examples, read) in tune.items():
        answers = cameras.told(calibration, examples, read)
        classes = np.flatnonzero(np.bincount(examples.labels) >= cameras.LEAST)
        found[source.name] = cameras.measures(answers, classes)
        bare = calibration.answers(read.image_logits, examples)
        found[source.name]["context_unknown"] = cameras.measures(bare, classes)
    found["mean_over_sources"] = {
        name: float(np.mean([found[source.name][name] for source in tune])) for name in CHOSEN_BY
    }
    if sources.closeups:
        closeups = sources.closeups.part(Part.TUNE)
        read = read_all(network, closeups.pixels, (PatientContext(),) * len(closeups))
        found["closeups_refused"] = float(cameras.refused(calibration, read).mean())
    print(json.dumps(plain(found), indent=1))


def _converted(run: Path) -> tuple[keras.Model, Network]:
    """The run's network, and the same as LiteRT, which is written beside it."""
    if not (run / "model.keras").is_file():
        raise ValueError(f"{run} holds no model.keras: train it first")
    model = load(run / "model.keras")
    convert(model, run / "model.tflite")
    return model, Network(run / "model.tflite")


def _prior(train: Examples) -> calibrate.Floats:
    """[7]: each diagnosis' share of the images; next to nothing for one that is not there."""
    labels = train.labels[train.labels >= 0]
    counts = np.maximum(np.bincount(labels, minlength=len(Diagnosis)), 1e-9)
    prior: calibrate.Floats = counts / counts.sum()
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
