"""Reads the images that a CSV file lists; one row in, one row out, in the same order."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml.diagnoses import Diagnosis
from ml.opening.pictures import open_image
from ml.reader import Reader
from ml.types import PatientContext, Reading

CALIBRATED = tuple(f"p_{diagnosis}" for diagnosis in Diagnosis)
BALANCED = tuple(f"b_{diagnosis}" for diagnosis in Diagnosis)
NUMBERS = (*CALIBRATED, "p_malignant", *BALANCED, "in_distribution")
COLUMNS = ("image", *NUMBERS, "outcome", "reason", "error")


def predict(reader: Reader, manifest: Path, out: Path, masks: Path | None = None) -> int:
    """Write `out` row by row and return how many rows could not be read.

    masks: a folder for one PNG per image (0 or 255, of the image's size), named after its stem.

    The manifest has a column `image` and optionally age, sex, localization. A row that cannot be
    read keeps its place, without numbers and with the reason in `error`. Raises ValueError if the
    manifest itself cannot be used.
    """
    if not manifest.is_file():
        raise ValueError(f"there is no manifest {manifest}")
    if out.resolve() == manifest.resolve():
        raise ValueError(f"{out} would overwrite the manifest")
    if masks:
        masks.mkdir(parents=True, exist_ok=True)
    failed = 0
    with manifest.open(newline="", encoding="utf-8-sig") as opened:
        rows = csv.DictReader(opened)
        try:
            columns = rows.fieldnames or ()
        except (UnicodeDecodeError, csv.Error):
            raise ValueError(f"{manifest} is not a CSV file in UTF-8") from None
        if "image" not in columns:
            raise ValueError(f"{manifest} has no column named image")
        with out.open("w", newline="", encoding="utf-8") as written:
            writer = csv.DictWriter(written, COLUMNS, restval="")
            writer.writeheader()
            for row in rows:
                answer = _answer(reader, manifest.parent, row, masks)
                failed += "error" in answer
                writer.writerow(answer)
    return failed


def _answer(
    reader: Reader, folder: Path, row: dict[str, str], masks: Path | None
) -> dict[str, str]:
    image = row["image"] or ""
    try:
        context = PatientContext.parse(row.get("age"), row.get("sex"), row.get("localization"))
        pixels = open_image(_find(folder, image))
        reading = reader.read(pixels, context)
    except (ValueError, OSError) as error:
        return {"image": image, "error": str(error)}
    if masks:
        _write_mask(reading, pixels, masks / f"{Path(image).stem}.png")
    numbers = (
        *reading.probabilities.values(),
        reading.p_malignant,
        *reading.balanced_probabilities.values(),
        reading.in_distribution,
    )
    return {
        "image": image,
        **dict(zip(NUMBERS, (f"{number:.6f}" for number in numbers), strict=True)),
        "outcome": reading.outcome.value,
        "reason": reading.reason,
    }


def _write_mask(reading: Reading, pixels: npt.NDArray[np.uint8], file: Path) -> None:
    """The lesion's mask, smoothly enlarged to the image's size."""
    height, width = pixels.shape[:2]
    mask = Image.fromarray(reading.mask).convert("L").resize((width, height))
    mask.point(lambda value: 255 * (value >= 128)).save(file)


def _find(folder: Path, image: str) -> Path:
    """Beside the manifest, else relative to the current directory (both work for an absolute
    path).
    """
    if not image:
        raise ValueError("the row names no image")
    beside = folder / image
    return beside if beside.exists() else Path(image)
