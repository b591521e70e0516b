"""Makes the library of confirmed cases from the training parts, and measures how often the cases
nearest to an image of the tune parts have its diagnosis.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml import cases, reader
from ml.diagnoses import MALIGNANT, Diagnosis
from ml.training.data import SPLIT_SEED, Examples, Part, Source, concatenate, position
from ml.training.sources import Sources
from ml.types import Outcome, PatientContext

EACH = 48
"""The maximum number of cases of one diagnosis, of different lesions."""
NEAREST = 5
SIZE = (160, 120)
"""Width and height of a case's picture."""
QUALITY = 72


def make(version: str, sources: Sources, pictures: Path) -> dict[str, Any]:
    """Write the library of cases that a version can assess and their pictures, and for every
    version that still reads the features and, into its card, the figures. Returns the version's
    figures.

    Raises ModelUnavailable, or ValueError if data is missing.
    """
    network = reader.load(version)
    confirmed = sources.by_histology
    parts = [one.part(Part.TRAIN) for one in sources.dermatoscopy.values()]
    pool = concatenate(
        part.take(np.flatnonzero((part.labels >= 0) & np.isin(part.image_ids, list(confirmed))))
        for part in parts
    )
    rows = [row for diagnosis in Diagnosis for row in _choose(network, pool, diagnosis)]
    library = pool.take(np.array(rows))
    _write(library, sources.details, pictures)
    found = {one: _add(reader.load(one), library, sources) for one in reader.readable()}
    return found[version]


def _add(network: reader.Reader, library: Examples, sources: Sources) -> dict[str, Any]:
    """A version's features of the library, and its figures."""
    seen = [network.read(pixels, PatientContext()).features for pixels in library.pixels]
    unit = cases.unit(np.stack([one for one in seen if one is not None])).astype(np.float16)
    np.save(reader.ARTIFACTS / network.version / cases.FEATURES, unit)
    return _judge(network, library, unit, sources)


def _choose(network: reader.Reader, pool: Examples, diagnosis: Diagnosis) -> list[int]:
    """Rows of one diagnosis: assessable, of different lesions, from all sources in turn, in an
    order that depends on the ids alone.
    """
    own = np.flatnonzero(pool.labels == list(Diagnosis).index(diagnosis))
    queues = {
        source: sorted(
            own[pool.sources[own] == source],
            key=lambda row: position(SPLIT_SEED, str(pool.image_ids[row])),
            reverse=True,
        )
        for source in Source
    }
    rows: list[int] = []
    lesions: set[str] = set()
    while len(rows) < EACH and any(queues.values()):
        for queue in queues.values():
            while queue and len(rows) < EACH:
                row = int(queue.pop())
                if str(pool.lesions[row]) in lesions:
                    continue
                reading = network.read(pool.pixels[row], PatientContext())
                if reading.outcome is Outcome.NOT_ASSESSABLE or reading.features is None:
                    continue
                rows.append(row)
                lesions.add(str(pool.lesions[row]))
                break
    return rows


def _write(library: Examples, details: dict[str, str], pictures: Path) -> None:
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.webp"):
        old.unlink()
    with cases.FILE.open("w", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened, lineterminator="\n")
        table.writerow(["image_id", "source", "dx", "detail", "age", "sex", "localization"])
        for row, known in enumerate(library.known):
            image_id = str(library.image_ids[row])
            picture = Image.fromarray(library.pixels[row]).resize(SIZE, Image.Resampling.LANCZOS)
            picture.save(pictures / f"{image_id}.webp", quality=QUALITY, method=6)
            table.writerow(
                [
                    image_id,
                    Source(library.sources[row]).name,
                    list(Diagnosis)[library.labels[row]].value,
                    details.get(image_id, ""),
                    "" if known.age is None else f"{known.age:g}",
                    known.sex or "",
                    known.localization or "",
                ]
            )


def _judge(
    network: reader.Reader,
    library: Examples,
    unit: npt.NDArray[np.float16],
    sources: Sources,
) -> dict[str, Any]:
    """Precision at five on the tune parts: the share of the five nearest that has the image's
    diagnosis, and of the images of a cancer or its precursor, that has any of these.
    """
    wide = unit.astype(np.float32)
    is_malignant = np.array([one in MALIGNANT for one in Diagnosis])
    figures: dict[str, Any] = {}
    for source, examples in sources.judging(Part.TUNE).items():
        same: dict[int, list[float]] = {}
        malignant = []
        for row in range(len(examples)):
            reading = network.read(examples.pixels[row], PatientContext())
            if reading.outcome is Outcome.NOT_ASSESSABLE or reading.features is None:
                continue
            near = np.argsort(-(wide @ cases.unit(reading.features)), kind="stable")[:NEAREST]
            label = int(examples.labels[row])
            same.setdefault(label, []).append(float((library.labels[near] == label).mean()))
            if is_malignant[label]:
                malignant.append(float(is_malignant[library.labels[near]].mean()))
        figures[source.name] = {
            "images": sum(map(len, same.values())),
            "precision_at_5": round(float(np.mean([np.mean(one) for one in same.values()])), 3),
            "precision_at_5_by_diagnosis": {
                list(Diagnosis)[label].value: round(float(np.mean(one)), 3)
                for label, one in sorted(same.items())
            },
            "malignant_among_5_of_malignant": round(float(np.mean(malignant)), 3),
        }
    counts = Counter(list(Diagnosis)[label].value for label in library.labels)
    found = {"cases": len(library), "by_diagnosis": dict(counts), "tune": figures}
    file = reader.ARTIFACTS / network.version / "card.json"
    card = json.loads(file.read_text(encoding="utf-8")) | {"similar_cases": found}
    file.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return found
