"""Thresholds of the outcomes, fitted on the tune parts of all sources and evaluated on their test
parts. The network stays unchanged.

A new clinic brings a camera unseen in training, so the worst source decides; and the mean over the
sources, because one with few cancers shows little.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ml import calibrate, reader
from ml.diagnoses import Diagnosis
from ml.evaluation import cameras, judge
from ml.evaluation.card import plain, split
from ml.evaluation.judge import Read, read_all
from ml.inference.litert import Network
from ml.inference.look import Rules
from ml.outcome import p_malignant
from ml.training.data import Examples, Part, Source
from ml.training.sources import Sources

SENSITIVITY, MEAN_SENSITIVITY = 0.96, 0.98
"""For the cancers of the worst source, and in the mean over the sources, each with and without
patient context. 2026.11.5 reaches both: a new version should not buy its specificity with cancers.
"""
PRECISION, MELANOMA_PRECISION = 0.70, 0.50
BELOW_GATE = 0.0025
"""The share of all dermatoscopic images below the gate."""
BELOW_FLOOR = 0.01
"""The share of the worst source's dermatoscopic images below the floor."""
Sets = dict[Source, tuple[Examples, Read]]


def read(network: Network, sources: Sources, part: Part) -> Sets:
    """Read one part of each source, with the full patient context."""
    found = {}
    for source, examples in sources.judging(part).items():
        print(f"reading {len(examples)} images of {source.name}, {part}", flush=True)
        found[source] = (examples, read_all(network, examples.pixels, examples.known))
    return found


def calibrate_all(priors: dict[Source, calibrate.Floats], tune: Sets) -> Rules:
    """Temperature, gate and the other parameters for a network that has no card yet.

    priors [k]: each source's own, for its temperature; HAM10000's is used for the reading.
    """
    temperature = calibrate.fit_temperature(
        (seen.logits, examples.labels, priors[source]) for source, (examples, seen) in tune.items()
    )
    pooled = np.concatenate([seen.in_distribution for _, seen in tune.values()])
    gate = float(np.quantile(pooled, BELOW_GATE))
    prior = priors[Source.HAM10000]
    return fit(Rules(prior, temperature, {}, gate, gate, by_image=True), tune)


def fit(rules: Rules, tune: Sets) -> Rules:
    """Fit thresholds and floor on the tune parts; prior, temperature and gate stay.

    Raises ValueError if the targets cannot be met.
    """
    lowest = min(float(np.quantile(one.in_distribution, BELOW_FLOOR)) for _, one in tune.values())
    # The card keeps six digits, rounded down, or the image that set the threshold would no longer
    # reach it.
    rules = replace(rules, floor=_down(min(lowest, rules.gate)), by_image=True)
    scored = [
        (_scores(rules, one)[0], _cancer(examples))
        for examples, known in tune.values()
        for one in (known, known.without_context())
    ]
    examples, known = tune[Source.HAM10000]
    malignant, melanoma = _scores(rules, known)
    found = {
        "urgent": calibrate.at_precision(malignant, _cancer(examples), PRECISION),
        "urgent_mel": calibrate.at_precision(
            melanoma, examples.labels == calibrate.MEL, MELANOMA_PRECISION
        ),
        "see_doctor": calibrate.at_sensitivities(scored, SENSITIVITY, MEAN_SENSITIVITY),
    }
    return replace(rules, thresholds={name: _down(value) for name, value in found.items()})


def decided(rules: Rules) -> dict[str, Any]:
    """The decision parameters in a card; `Rules.of` reads them. The gate's are in `judged`."""
    calibration = {
        "temperature": rules.temperature,
        "prior": dict(zip(map(str, Diagnosis), rules.prior.tolist(), strict=True)),
        "thresholds": dict(rules.thresholds),
        "decided_on": ["image and context", "image"],
    }
    told_apart = json.dumps([plain(calibration), rules.gate, rules.floor], sort_keys=True)
    return {
        **calibration,
        "thresholds_version": f"t-{hashlib.sha256(told_apart.encode()).hexdigest()[:8]}",
        "thresholds_chosen": {
            "where": "on the tune parts of all sources; urgent on HAM10000's",
            "see_doctor": f"highest chance of cancer that {SENSITIVITY:.0%} of the cancers of each "
            f"source reach, and {MEAN_SENSITIVITY:.0%} in the mean over the sources, with what is "
            "known of the patients and without",
            "urgent": f"lowest chance of cancer from which {PRECISION:.0%} are cancer",
            "urgent_mel": "lowest chance of melanoma from which "
            f"{MELANOMA_PRECISION:.0%} are melanoma",
            "decided_on": "the image with what is known of the patient, and the image alone: the "
            "more severe of the two is told",
            "gate": f"{BELOW_GATE:.2%} of the dermatoscopic images that it was fitted on lie below "
            "it: of these, what is dangerous is told with a remark, the rest is turned away",
            "floor": f"{BELOW_FLOOR:.0%} of the images of the worst source lie below it: these are "
            "turned away",
        },
    }


def judged(
    rules: Rules, network: Network, sources: Sources, tune: Sets, test: Sets
) -> dict[str, Any]:
    """The performance figures in a card, under these rules."""
    examples, seen = test[Source.HAM10000]
    found: dict[str, Any] = {
        "figures": judge.test_figures(rules, examples, seen),
        "tune": {one.name: cameras.source_figures(rules, *tune[one]) for one in tune},
        "sources": {one.name: cameras.source_figures(rules, *test[one]) for one in test},
        "gate": judge.gate_figures(rules, network, examples, seen, sources.negatives),
    }
    if Source.ISIC2017 in test:
        found["isic2017"] = judge.other_cameras(rules, *test[Source.ISIC2017])
    if Source.MILK10K in test:
        found["milk10k"] = cameras.milk10k_figures(rules, network, sources, test[Source.MILK10K])
    return found


def set_thresholds(version: str, sources: Sources) -> dict[str, Any]:
    """Refit a version's thresholds, evaluate it with them, and write both into its card, which
    keeps the previous thresholds. Returns the card.

    Raises ModelUnavailable, or ValueError if data is missing or the targets cannot be met.
    """
    card = reader.card(version)
    network = Network(reader.ARTIFACTS / version / "model.tflite")
    tune, test = (read(network, sources, part) for part in (Part.TUNE, Part.TEST))
    rules = fit(Rules.of(card), tune)
    new = decided(rules)
    history = card.get("thresholds_history", [])
    if new["thresholds_version"] != card["thresholds_version"]:
        history = [*history, _before(card)]
    card = {
        **card,
        **new,
        **judged(rules, network, sources, tune, test),
        "thresholds_history": history,
        "judged_on": split(sources.dermatoscopy),
    }
    text = json.dumps(plain(card), indent=1, ensure_ascii=False)
    (reader.ARTIFACTS / version / "card.json").write_text(text + "\n", encoding="utf-8")
    return card


def _before(card: dict[str, Any]) -> dict[str, Any]:
    """The thresholds being replaced, with their results on the test part."""
    figures = card["figures"]["with_95_percent_intervals"]
    kept = ("see_doctor/malignant_sensitivity", "see_doctor/malignant_specificity")
    return {
        "thresholds_version": card["thresholds_version"],
        "until": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "thresholds": card["thresholds"],
        "thresholds_chosen": card["thresholds_chosen"],
        "gate": card["gate"]["threshold"],
        "figures": {name: figures[name] for name in kept},
    }


def _scores(rules: Rules, seen: Read) -> tuple[calibrate.Floats, calibrate.Floats]:
    """The p_malignant and p_mel that decide each image's outcome; 0 for an image rejected whatever
    its reading.
    """
    malignant, melanoma = np.zeros(len(seen.looks)), np.zeros(len(seen.looks))
    for number, one in enumerate(seen.looks):
        if one.in_distribution >= rules.floor:
            readings = one.readings(rules)
            malignant[number] = max(p_malignant(each) for each in readings)
            melanoma[number] = max(each[Diagnosis.MEL] for each in readings)
    return malignant, melanoma


def _cancer(examples: Examples) -> npt.NDArray[np.bool_]:
    return np.isin(examples.labels, calibrate.MALIGNANT_COLUMNS)


def _down(value: float) -> float:
    """Rounded down to six digits."""
    step = 10.0 ** (math.floor(math.log10(value)) - 5)
    return math.floor(value / step) * step
