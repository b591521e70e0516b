"""Calibrates a run on the tune part, evaluates it on the test part, and writes its model card.

Everything is read through LiteRT, by the same code as the reader's.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ml import calibrate, context, figures
from ml.diagnoses import Diagnosis
from ml.evaluation import cameras, fit_thresholds, judge
from ml.evaluation.card import describe, plain
from ml.evaluation.judge import read_all
from ml.inference.litert import Network
from ml.inference.views import reduce, views
from ml.training.data import Examples, Part, Source
from ml.training.export import convert
from ml.training.network import load
from ml.training.sources import Sources
from ml.types import PatientContext

DIFFERENCE_IMAGES = 32
CHOSEN_BY = (
    *("balanced_accuracy", "macro_auc", "auc_malignant", "auc_mel"),
    *("cancers_told", "harmless_told_monitor", "refused"),
)
"""The figures for which `trial` prints the mean over the sources, so that no source is
sacrificed.
"""


def evaluate(run: Path, sources: Sources) -> None:
    """Write model.tflite and card.json beside the run's model.keras.

    Raises ValueError if the run or data is missing.
    """
    model, network = _converted(run)
    tune, test = (fit_thresholds.read(network, sources, part) for part in (Part.TUNE, Part.TEST))
    rules = fit_thresholds.calibrate_all(_priors(sources), tune)
    measured: dict[str, Any] = {
        **fit_thresholds.judged(rules, network, sources, tune, test),
        "keras_litert_max_difference": difference(model, network, test[Source.HAM10000][0]),
    }
    card = describe(
        weights_sha256=hashlib.sha256((run / "model.tflite").read_bytes()).hexdigest(),
        decided=fit_thresholds.decided(rules),
        measured=measured,
        sets=sources.dermatoscopy,
        recipe=json.loads((run / "recipe.json").read_text(encoding="utf-8")),
    )
    text = json.dumps(plain(card), indent=1, ensure_ascii=False)
    (run / "card.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def trial(run: Path, sources: Sources) -> None:
    """Print a run's results on the tune parts: for decisions, which must not use the test parts.

    Raises ValueError if the run or data is missing.
    """
    _, network = _converted(run)
    tune = fit_thresholds.read(network, sources, Part.TUNE)
    rules = fit_thresholds.calibrate_all(_priors(sources), tune)
    found: dict[str, Any] = {
        "temperature": rules.temperature,
        "thresholds": dict(rules.thresholds),
        "gate": rules.gate,
        "floor": rules.floor,
        "mask": judge.mask_figures(*tune[Source.HAM10000]),
    }
    for source, (examples, read) in tune.items():
        classes = np.flatnonzero(np.bincount(examples.labels) >= cameras.LEAST)
        found[source.name] = cameras.measures(read.answers(rules, examples), classes)
        bare = read.without_context().answers(rules, examples)
        found[source.name]["context_unknown"] = cameras.measures(bare, classes)
    found["mean_over_sources"] = {
        name: float(np.mean([found[source.name][name] for source in tune])) for name in CHOSEN_BY
    }
    if sources.closeups:
        closeups = sources.closeups.part(Part.TUNE)
        seen = read_all(network, closeups.pixels, (PatientContext(),) * len(closeups))
        found["closeups_refused"] = figures.share(seen.refused(rules))
    print(json.dumps(plain(found), indent=1))


def _converted(run: Path) -> tuple[keras.Model, Network]:
    """The run's network and its LiteRT conversion, which is written beside it."""
    if not (run / "model.keras").is_file():
        raise ValueError(f"{run} holds no model.keras: train it first")
    model = load(run / "model.keras")
    convert(model, run / "model.tflite")
    return model, Network(run / "model.tflite")


def _priors(sources: Sources) -> dict[Source, calibrate.Floats]:
    """The shares of the diagnoses in each source's training part."""
    return {
        source: _prior(examples.part(Part.TRAIN))
        for source, examples in sources.dermatoscopy.items()
    }


def _prior(train: Examples) -> calibrate.Floats:
    """[k]: the share of each diagnosis; close to zero for an absent one."""
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
