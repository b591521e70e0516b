"""Alignment of images of a lesion: accuracy, success rate, speed and false alignments.

.venv/bin/python -m benchmarks.registration --data ../shared/data/ham10000 [--seed 2]

Needs HAM10000 with masks. Three sets of pairs:
- synthetic: a real image, and the same one turned by up to 30 degrees, 0.8 to 1.25 times as large,
  shifted by up to 10 % of the frame and up to 20 % lighter or darker, at 512 pixels;
- same: two images of one lesion (they share a lesion_id);
- different: two images of different lesions with the same diagnosis and site.
Limits were chosen on --seed 1; report another.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ml.lesion import register

PAIRS = 200
FRAME = (512, 384)
TARGETS = {"corner_error": 0.02, "within": 0.9, "cpu_ms": 400, "different_aligned": 0.05}


def read(folder: Path, name: str, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An image and its mask, both of `size` (width, height)."""
    with Image.open(folder / "images_200x150" / f"{name}.jpg") as image:
        pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    with Image.open(folder / "masks" / f"{name}_segmentation.png") as image:
        mask = np.asarray(image.convert("L").resize(size, Image.Resampling.NEAREST)) > 127
    return pixels, mask


def disturbed(pixels: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> Any:
    """The image as a second visit might show it: pixels, mask, and the true matrix back."""
    height, width = mask.shape
    angle, size = rng.uniform(-30, 30), np.exp(rng.uniform(np.log(0.8), np.log(1.25)))
    there = cv2.getRotationMatrix2D((width / 2, height / 2), angle, size)
    there[:, 2] += rng.uniform(-0.1, 0.1, 2) * (width, height)
    light = rng.uniform(0.8, 1.2)
    moved = cv2.warpAffine(pixels, there, (width, height), borderMode=cv2.BORDER_REFLECT)
    shape = cv2.warpAffine(mask.astype(np.uint8), there, (width, height)) > 0
    noisy = moved * light + rng.normal(0, 2, moved.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), shape, cv2.invertAffineTransform(there)


def corner_error(found: np.ndarray, true: np.ndarray) -> float:
    """Median distance of the four corners, as a share of the frame's width."""
    width, height = FRAME
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float).T
    return float(np.median(np.hypot(*(found @ corners - true @ corners))) / width)


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def synthetic(folder: Path, names: list[str], rng: np.random.Generator) -> dict[str, float]:
    errors, times = [], []
    for name in names:
        pixels, mask = read(folder, name, FRAME)
        later, later_mask, true = disturbed(pixels, mask, rng)
        started = time.process_time()
        found = register.align(pixels, later, mask, later_mask)
        times.append(1000 * (time.process_time() - started))
        errors.append(corner_error(found.matrix, true) if found.matrix is not None else 1.0)
    return {
        "pairs": len(names),
        "within_2_percent": float(np.mean(np.array(errors) <= TARGETS["corner_error"])),
        "aligned": float(np.mean(np.array(errors) < 1.0)),
        "median_corner_error": float(np.median(errors)),
        "cpu_ms_median": float(np.median(times)),
        "cpu_ms_p95": float(np.percentile(times, 95)),
    }


def real(folder: Path, pairs: list[tuple[str, str]]) -> dict[str, float]:
    before, after, scores = [], [], []
    for first, second in pairs:
        pixels, mask = read(folder, first, FRAME)
        later, later_mask = read(folder, second, FRAME)
        found = register.align(pixels, later, mask, later_mask)
        scores.append(found.score)
        if found.matrix is not None:
            moved = later_mask.astype(np.uint8) * 255
            warped, _ = register.warp(moved, found.matrix, mask.shape)
            before.append(jaccard(mask, later_mask))
            after.append(jaccard(mask, warped > 127))
    return {
        "pairs": len(pairs),
        "aligned": len(before) / len(pairs),
        "median_jaccard_before": float(np.median(before)) if before else float("nan"),
        "median_jaccard_after": float(np.median(after)) if after else float("nan"),
        **{f"score_p{share}": float(np.percentile(scores, share)) for share in (5, 50, 95)},
    }


def choose(folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Image ids: single ones, pairs of one lesion, pairs of different lesions."""
    with (folder / "HAM10000_metadata.csv").open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    lesions, alike = defaultdict(list), defaultdict(list)
    for row in rows:
        lesions[row["lesion_id"]].append(row["image_id"])
        alike[row["dx"], row["localization"]].append(row)
    several = [ids for ids in lesions.values() if len(ids) > 1]
    same = [tuple(ids[:2]) for ids in rng.permutation(np.array(several, dtype=object))[:PAIRS]]
    groups = [group for group in alike.values() if len({row["lesion_id"] for row in group}) > 1]
    different = []
    while len(different) < PAIRS:
        group = groups[rng.integers(len(groups))]
        one, other = rng.choice(np.array(group, dtype=object), 2, replace=False)
        if one["lesion_id"] != other["lesion_id"]:
            different.append((one["image_id"], other["image_id"]))
    single = [rows[number]["image_id"] for number in rng.permutation(len(rows))[:PAIRS]]
    return {"synthetic": single, "same": same, "different": different}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="HAM10000's folder")
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(options.seed)
    chosen = choose(options.data, rng)
    figures = {
        "targets": TARGETS,
        "synthetic": synthetic(options.data, chosen["synthetic"], rng),
        "same": real(options.data, chosen["same"]),
        "different": real(options.data, chosen["different"]),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
