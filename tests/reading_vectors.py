"""Pictures, and what Python reads in them, to check other readers against.

    .venv/bin/python -m tests.reading_vectors FOLDER [--real 80]

writes vectors.json and, for each picture, its pixels (RGB, row by row): drawn pictures, and real
ones of all sources that ../shared has.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from ml import reader
from ml.opening.pictures import open_image
from ml.types import LOCALIZATIONS, SEXES, PatientContext
from screening.images import synthetic

SHARED = Path(__file__).resolve().parents[2] / "shared"
SOURCES = (
    ("data/ham10000/images_200x150", 0.4),
    ("data/isic2017/images", 0.2),
    ("data/milk10k/dermoscopic", 0.3),
    ("data/not_dermatoscopy", 0.1),
)
"""Folder, and its share of the real pictures."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Vector:
    """pixels [h, w, 3]. context: as `PatientContext`. expected: of the reading."""

    name: str
    pixels: Pixels
    context: PatientContext
    expected: dict[str, Any]


def drawn() -> Iterator[tuple[str, Pixels]]:
    """Spots of many sizes and shapes, good pictures and each fault."""
    for seed in range(12):
        size = (300 + 53 * seed, 225 + 41 * ((5 * seed) % 12))
        spot = synthetic.draw_lesion(
            seed=seed, size=size, radius=0.1 + 0.03 * (seed % 6), dark_side=seed % 3 / 2
        )
        yield f"spot {seed}, {size[0]} x {size[1]}", np.asarray(spot)
    spot = synthetic.draw_lesion(seed=7)
    yield "grey", np.asarray(spot.convert("L").convert("RGB"))
    yield "blurred", np.asarray(spot.filter(ImageFilter.GaussianBlur(30)))
    yield "dark", np.asarray(spot.point(lambda value: value // 8))
    yield "bright", np.asarray(spot.point(lambda value: 245 + value // 28))
    yield "too small", np.asarray(spot.resize((90, 70)))
    yield "tall", np.asarray(spot.rotate(90, expand=True).resize((301, 977)))
    yield "wide", np.asarray(spot.resize((1400, 260)))
    yield "large", np.asarray(spot.resize((2411, 1807), Image.Resampling.BICUBIC))
    two = spot.copy()
    two.paste(synthetic.draw_lesion(seed=3, size=(200, 150), dark_side=1.0), (390, 20))
    yield "a picture in the picture", np.asarray(two)
    side = Image.new("RGB", (900, 450))
    for place in (0, 450):
        side.paste(synthetic.draw_lesion(seed=place, size=(450, 450), radius=0.18), (place, 0))
    yield "two spots", np.asarray(side)
    yield "close", np.asarray(spot.crop((200, 130, 420, 300)))
    yield "plain", np.full((225, 300, 3), (214, 170, 150), np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (225, 300, 3), dtype=np.uint8)
    yield "noise", noise


def real(count: int) -> Iterator[tuple[str, Pixels]]:
    """Spread over each folder; none where ../shared is absent."""
    for folder, part in SOURCES:
        files = sorted((SHARED / folder).glob("*.*"))
        for file in files[:: max(1, round(len(files) / (part * count)))]:
            yield file.name, open_image(file)
    for name in ("two_spots.jpg", "grey.jpg", "phone_mpo.jpg", "portrait_2024-03-16.jpg"):
        if (SHARED / "cases/images" / name).is_file():
            yield name, open_image(SHARED / "cases/images" / name)


def vectors(pictures: Iterator[tuple[str, Pixels]]) -> Iterator[Vector]:
    """Each with what the default version reads. Every third one without age, sex and site."""
    loaded = reader.load()
    for number, (name, pixels) in enumerate(pictures):
        context = PatientContext()
        if number % 3:
            site = LOCALIZATIONS[number % len(LOCALIZATIONS)]
            context = PatientContext(float(number * 7 % 95), SEXES[number % 2], site)
        reading = loaded.read(pixels, context)
        expected = {
            "outcome": reading.outcome.value,
            "reason": reading.reason,
            "remarks": list(reading.remarks),
            "probabilities": list(reading.probabilities.values()),
            "balanced": list(reading.balanced_probabilities.values()),
            "pMalignant": reading.p_malignant,
            "inDistribution": reading.in_distribution,
            "evidence": reading.evidence.ravel().tolist(),
            "mask": float(reading.mask.mean()),
            "width": reading.mask.shape[1],
            "height": reading.mask.shape[0],
        }
        yield Vector(name, pixels, context, expected)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--real", type=int, default=80)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    written = []
    for source in (drawn(), real(options.real)):
        for vector in vectors(source):
            file = f"{len(written):03}.rgb"
            (options.folder / file).write_bytes(vector.pixels.tobytes())
            height, width = vector.pixels.shape[:2]
            about = {"name": vector.name, "file": file, "width": width, "height": height}
            written.append(about | {"context": asdict(vector.context)} | vector.expected)
    (options.folder / "vectors.json").write_text(json.dumps(written, indent=1) + "\n")
    print(f"{len(written)} vectors of model {reader.DEFAULT_VERSION} in {options.folder}")


if __name__ == "__main__":
    main()
