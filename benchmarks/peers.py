"""Our reader beside a network that anyone can install: the wheel `sklesion`.

It is an Xception of 254 pixels with age, sex and site, trained on HAM10000.

.venv/bin/python -m benchmarks.peers --data HAM10000 [--isic2017 F] [--milk10k F] [--json FILE]

Both read the same images of our frozen test parts, with what is known of the patients, each in its
own process on one core. The peer has seen all of HAM10000 in training, our test part included, so
only the other sources compare fairly. Needs TensorFlow (`requirements.txt`) and pip, which fetches
the wheel (80 MB) into a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.reading import peak_mb
from ml import calibrate, figures
from ml.diagnoses import Diagnosis
from ml.evaluation.cameras import LEAST
from ml.training.data import Part
from ml.training.sources import Sources
from ml.types import PatientContext

ROOT = Path(__file__).resolve().parents[1]
PEER = "sklesion==0.2.2"
SITES = {
    "arm": ("upper extremity", "hand"),
    "head-or-neck": ("scalp", "face", "ear", "neck"),
    "leg-or-genital": ("lower extremity", "foot", "genital"),
    "trunk": ("trunk", "back", "chest", "abdomen"),
}
"""The peer's words for a body site, and HAM10000's."""
Floats = npt.NDArray[np.float64]
Read = Callable[[npt.NDArray[np.uint8], PatientContext], tuple[Floats, Floats]]
"""From an image and its context to balanced and to calibrated probabilities, [k] each."""


def ours() -> Read:
    from ml import reader

    loaded = reader.load()

    def read(pixels: npt.NDArray[np.uint8], known: PatientContext) -> tuple[Floats, Floats]:
        reading = loaded.read(pixels, known)
        each = (reading.balanced_probabilities, reading.probabilities)
        balanced, calibrated = (np.array([one[dx] for dx in Diagnosis]) for one in each)
        return balanced, calibrated

    return read


def peers(folder: Path) -> Read:
    """The network and its inputs as the wheel's own `preprocess` makes them, one image a call."""
    import keras

    properties = pickle.loads((folder / "sklesion" / "model_props.pkl").read_bytes())
    model = keras.models.load_model(folder / "sklesion" / "model.keras", compile=False)
    order = [properties["i_cl_map"][number] for number in range(len(Diagnosis))]
    columns = [order.index(dx.value) for dx in Diagnosis]
    words = {ours: theirs for theirs, sites in SITES.items() for ours in sites}
    hot = properties["oh_map"]

    def read(pixels: npt.NDArray[np.uint8], known: PatientContext) -> tuple[Floats, Floats]:
        height, width = (int(one) for one in properties["img_shape"])
        frame = np.asarray(
            Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
        )
        age = properties["age_mean"] if known.age is None else known.age
        context = [
            *hot["sex"][known.sex if known.sex in hot["sex"] else "unknown"],
            *hot["loc"][words.get(known.localization or "", "unknown")],
            age / properties["age_max"],
            float(known.age is None),
        ]
        inputs = (frame[None].astype(np.float32), np.array([context], np.float32))
        found = np.asarray(model(inputs, training=False))[0][columns].astype(float)
        return found, found

    return read


def measure(read: Read, sources: Sources) -> dict[str, Any]:
    """Each source's ranking, the time of a reading in ms, and the process's peak memory in MB."""
    found: dict[str, Any] = {}
    times: list[float] = []
    for source, examples in sources.judging(Part.TEST).items():
        ranked, calibrated = [], []
        for pixels, known in zip(examples.pixels, examples.known, strict=True):
            started = time.perf_counter()
            one, other = read(pixels, known)
            times.append(1000 * (time.perf_counter() - started))
            ranked.append(one)
            calibrated.append(other)
        found[source.name] = ranking(np.array(ranked), np.array(calibrated), examples.labels)
    return {"sources": found, "ms": statistics.median(times), "peak_mb": peak_mb()}


def ranking(ranked: Floats, calibrated: Floats, labels: npt.NDArray[np.int64]) -> dict[str, float]:
    """ranked, calibrated [n, k]: probabilities; labels [n]."""
    diagnoses = np.flatnonzero(np.bincount(labels, minlength=len(Diagnosis)) >= LEAST)
    chosen, cancer = ranked.argmax(axis=1), np.isin(labels, calibrate.MALIGNANT_COLUMNS)
    p_malignant = calibrated[:, calibrate.MALIGNANT_COLUMNS].sum(axis=1)
    return {
        "images": len(labels),
        "accuracy": figures.share(calibrated.argmax(axis=1) == labels),
        "balanced_accuracy": float(
            np.mean([figures.share(chosen[labels == dx] == dx) for dx in diagnoses])
        ),
        "macro_auc": float(np.mean([figures.auc(ranked[:, dx], labels == dx) for dx in diagnoses])),
        "auc_malignant": figures.auc(p_malignant, cancer),
        "auc_mel": figures.auc(calibrated[:, calibrate.MEL], labels == calibrate.MEL),
    }


def apart(part: str, arguments: list[str], folder: Path) -> dict[str, Any]:
    """The result of one part, run in a separate process on one core."""
    command = [sys.executable, "-m", "benchmarks.peers", *arguments]
    command += ["--part", part, "--folder", str(folder)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def report(found: dict[str, dict[str, Any]]) -> None:
    for name, one in found.items():
        print(f"{name}: {one['ms']:.0f} ms a reading, {one['peak_mb']:.0f} MB with the test parts")
        for source, values in one["sources"].items():
            print(f"  {source}: {', '.join(f'{key} {value:.3g}' for key, value in values.items())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="HAM10000's folder")
    parser.add_argument("--isic2017", type=Path)
    parser.add_argument("--milk10k", type=Path)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--part", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if options.part:
        read = ours() if options.part == "ours" else peers(options.folder)
        sources = Sources(options.data, options.isic2017, options.milk10k)
        print(json.dumps(measure(read, sources)))
        return
    with tempfile.TemporaryDirectory() as folder:
        fetch = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
        subprocess.run([*fetch, PEER], check=True)
        found = {part: apart(part, sys.argv[1:], Path(folder)) for part in ("ours", "peer")}
    report(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
