"""Read the images that a CSV file lists; one row in, one row out, in the same order."""

from __future__ import annotations

import csv
from pathlib import Path

from ml.reader import Reader, open_image
from ml.types import Diagnosis, PatientContext

PROBABILITIES = tuple(f"p_{diagnosis}" for diagnosis in Diagnosis)
COLUMNS = ("image", *PROBABILITIES, "p_malignant", "outcome", "reason", "error")


def predict(reader: Reader, manifest: Path, out: Path) -> int:
    """Write `out` row by row and return how many rows could not be read.

    The manifest has a column `image` and perhaps age, sex, localization. A row that cannot be read
    keeps its place, without numbers and with the reason in `error`. Raises ValueError if the
    manifest itself cannot be used.
    """
    if not manifest.is_file():
        raise ValueError(f"there is no manifest {manifest}")
    if out.resolve() == manifest.resolve():
        raise ValueError(f"{out} would overwrite the manifest")
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
                answer = _answer(reader, manifest.parent, row)
                failed += "error" in answer
                writer.writerow(answer)
    return failed


def _answer(reader: Reader, folder: Path, row: dict[str, str]) -> dict[str, str]:
    image = row["image"] or ""
    try:
        context = PatientContext.parse(row.get("age"), row.get("sex"), row.get("localization"))
        reading = reader.read(open_image(_find(folder, image)), context)
    except (ValueError, OSError) as error:
        return {"image": image, "error": str(error)}
    numbers = [*reading.probabilities.values(), reading.p_malignant]
    return {
        "image": image,
        **dict(zip(COLUMNS[1:], (f"{number:.6f}" for number in numbers), strict=False)),
        "outcome": reading.outcome.value,
        "reason": reading.reason,
    }


def _find(folder: Path, image: str) -> Path:
    """Beside the manifest, else from the current directory (an absolute path is either)."""
    if not image:
        raise ValueError("the row names no image")
    beside = folder / image
    return beside if beside.exists() else Path(image)
