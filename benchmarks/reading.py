"""Time to read one image on one core: in total, the bare LiteRT call within it, and Keras' predict.

.venv/bin/python -m benchmarks.reading [--images FOLDER] [--count 50] [--json FILE]

The total covers decoding a JPEG, reducing it, making all views, running the network, mapping masks
and evidence to the image, gate, quality, calibration, outcome. Real images if FOLDER has any, else
synthetic ones; each as a JPEG of 600x450 pixels, as HAM10000 was published. LiteRT and Keras run in
separate processes, so that neither's memory counts for the other. Targets: p50 at most 120 ms, at
most 1.3 times the bare call, and at most 250 MB.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ml.context import encode
from ml.inference.views import VIEWS, reduce, views
from ml.opening.pictures import load_pixels
from ml.types import PatientContext
from screening.images import synthetic

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT.parent / "shared" / "data" / "ham10000" / "images_200x150"
SIZE = (600, 450)
TARGETS = {"ms": 120.0, "ratio": 1.3, "mb": 250.0}
KNOWN = PatientContext(60.0, "male", "back")


def pictures(folder: Path, count: int) -> list[bytes]:
    """JPEG files of SIZE."""
    real = sorted(folder.glob("*.jpg"))[:count]
    images = [Image.open(path).convert("RGB") for path in real] or [
        synthetic.draw_lesion(seed=seed) for seed in range(count)
    ]
    files = []
    for image in images:
        buffer = BytesIO()
        image.resize(SIZE, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=95)
        files.append(buffer.getvalue())
    return files


def litert(files: list[bytes]) -> dict[str, Any]:
    """The reader as the worker runs it, and the network call alone, image by image."""
    started = time.perf_counter()
    from ml import reader

    loaded = reader.load()

    def read(file: bytes) -> None:
        loaded.read(load_pixels(BytesIO(file)), KNOWN)

    read(files[0])
    ready = time.perf_counter() - started
    for file in files:
        read(file)
    used = peak_mb()  # before the second copy of the network below

    from ai_edge_litert.interpreter import Interpreter

    network = reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.tflite"
    runner = Interpreter(str(network), num_threads=1).get_signature_runner("serving_default")
    context = encode(KNOWN)[None]

    def bare(shown: np.ndarray) -> None:
        for view in shown:
            runner(pixels=view[None], context=context)

    times: dict[str, list[float]] = {"all": [], "bare": []}
    for file in files:
        shown = views(reduce(load_pixels(BytesIO(file))))
        times["all"].append(milliseconds(partial(read, file)))
        times["bare"].append(milliseconds(partial(bare, shown)))
    return {"version": reader.DEFAULT_VERSION, "ready_s": ready, "peak_mb": used, **times}


def keras(files: list[bytes]) -> dict[str, Any]:
    """The same network and the same views by ``keras.Model.predict``."""
    started = time.perf_counter()
    from ml import reader
    from ml.training import network

    model = network.load(reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.keras")
    context = np.tile(encode(KNOWN), (len(VIEWS), 1))

    def predict(shown: np.ndarray) -> None:
        model.predict({"pixels": shown, "context": context}, verbose=0)

    predict(views(reduce(load_pixels(BytesIO(files[0])))))
    ready = time.perf_counter() - started
    times = []
    for file in files:
        shown = views(reduce(load_pixels(BytesIO(file))))
        times.append(milliseconds(partial(predict, shown)))
    return {"ready_s": ready, "peak_mb": peak_mb(), "predict": times}


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def peak_mb() -> float:
    """The peak memory of this process. Not getrusage, which may still count the parent's."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def apart(part: str, options: argparse.Namespace) -> dict[str, Any]:
    """The result of one part, run in a separate process on one core."""
    command = [sys.executable, "-m", "benchmarks.reading", "--part", part]
    command += ["--images", str(options.images), "--count", str(options.count)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def row(name: str, times: list[float], beside: list[float]) -> str:
    p50, p95 = percentiles(times)
    return f"{name:28}{p50:8.1f}{p95:8.1f}{p50 / percentiles(beside)[0]:8.2f}"


def percentiles(times: list[float]) -> tuple[float, float]:
    """p50 and p95."""
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return cuts[49], cuts[94]


def report(found: dict[str, Any], other: dict[str, Any] | None) -> None:
    print(f"model {found['version']}, {len(found['all'])} images, one core of {os.cpu_count()}")
    print(f"load {os.getloadavg()[0]:.1f}\n\n{'milliseconds':28}{'p50':>8}{'p95':>8}{'ratio':>8}")
    print(row("reading, all in", found["all"], found["bare"]))
    print(row("LiteRT alone", found["bare"], found["bare"]))
    if other:
        print(row("Keras predict, alone", other["predict"], found["bare"]))
    p50 = percentiles(found["all"])[0]
    print(f"\ntargets: {TARGETS['ms']:.0f} ms, ratio {TARGETS['ratio']}, {TARGETS['mb']:.0f} MB")
    print(f"reader: {p50:.0f} ms, {found['peak_mb']:.0f} MB, ready in {found['ready_s']:.1f} s")
    if other:
        print(f"Keras: {other['peak_mb']:.0f} MB, ready in {other['ready_s']:.1f} s")
    else:
        print("Keras: left out, TensorFlow is not installed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=Path, default=IMAGES)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--part", choices=["litert", "keras"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if options.part:
        measure = {"litert": litert, "keras": keras}[options.part]
        print(json.dumps(measure(pictures(options.images, options.count))))
        return
    installed = importlib.util.find_spec("tensorflow") is not None
    found, other = apart("litert", options), apart("keras", options) if installed else None
    report(found, other)
    if options.json:
        options.json.write_text(json.dumps({"reader": found, "keras": other}, indent=1) + "\n")


if __name__ == "__main__":
    main()
