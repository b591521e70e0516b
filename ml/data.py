"""HAM10000 and ISIC 2017 on disk -> arrays in memory, split by lesion.

All frames are held at FRAME, the resolution every image of the data has, so that sharpness says
nothing about the source or the diagnosis.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml import context
from ml.types import Diagnosis, PatientContext

FRAME = (150, 200)
"""Height and width of a frame in memory."""
SPLIT_SEED = 58
"""Of the seeds 0..59 the one whose parts have the classes' shares closest to the whole's."""
PART_SHARE = 0.085
HAM_FOLDERS = ("images_200x150", "HAM10000_images_part_1", "HAM10000_images_part_2")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
MASK_FOLDERS = ("masks", "HAM10000_segmentations_lesion_tschandl")


class Source(IntEnum):
    HAM10000 = 0
    ISIC2017 = 1
    OUTSIDE = 2


class Part(StrEnum):
    TRAIN = "train"
    TUNE = "tune"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Examples:
    """n images. pixels uint8 [n, *FRAME, 3]; context [n, context.WIDTH]; labels int [n] in the
    order of Diagnosis (-1 outside); sources int [n]; lesions, image_ids str [n]; known: n contexts.
    masks bool [n, *FRAME]: what belongs to the lesion; masked bool [n]: whether that is known.
    """

    pixels: npt.NDArray[np.uint8]
    context: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    sources: npt.NDArray[np.int64]
    lesions: npt.NDArray[np.str_]
    image_ids: npt.NDArray[np.str_]
    known: tuple[PatientContext, ...]
    masks: npt.NDArray[np.bool_]
    masked: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.int64]) -> Examples:
        """These rows, in this order."""
        return Examples(
            self.pixels[rows],
            self.context[rows],
            self.labels[rows],
            self.sources[rows],
            self.lesions[rows],
            self.image_ids[rows],
            tuple(self.known[row] for row in rows),
            self.masks[rows],
            self.masked[rows],
        )

    def part(self, part: Part) -> Examples:
        """The images of the lesions in one part of the split."""
        chosen = [part_of(lesion) is part for lesion in self.lesions]
        return self.take(np.flatnonzero(chosen))


def part_of(lesion: str, seed: int = SPLIT_SEED) -> Part:
    """The part a lesion is in, from its id alone: the same in every copy of the data."""
    digest = hashlib.sha256(f"{seed}:{lesion}".encode()).hexdigest()
    position = int(digest[:13], 16) / 16**13
    if position < PART_SHARE:
        return Part.TUNE
    return Part.TEST if position < 2 * PART_SHARE else Part.TRAIN


def concatenate(groups: Iterable[Examples]) -> Examples:
    """The groups one after another."""
    listed = list(groups)
    return Examples(
        np.concatenate([group.pixels for group in listed]),
        np.concatenate([group.context for group in listed]),
        np.concatenate([group.labels for group in listed]),
        np.concatenate([group.sources for group in listed]),
        np.concatenate([group.lesions for group in listed]),
        np.concatenate([group.image_ids for group in listed]),
        tuple(known for group in listed for known in group.known),
        np.concatenate([group.masks for group in listed]),
        np.concatenate([group.masked for group in listed]),
    )


def load_ham10000(folder: Path) -> Examples:
    """HAM10000 as it was downloaded, the reduced copies, or any folder of images with one CSV file
    of the same columns; with masks or without.

    Raises ValueError if the metadata is missing or names an image that no folder holds.
    """
    folders = [folder / name for name in HAM_FOLDERS if (folder / name).is_dir()] or [folder]
    files = {
        file.stem: file
        for place in folders
        for file in sorted(place.rglob("*"))
        if file.suffix.lower() in IMAGE_SUFFIXES
    }
    rows = _rows(_metadata(folder))
    masks = {
        file.stem.removesuffix("_segmentation"): file
        for name in MASK_FOLDERS
        for file in (folder / name).glob("*_segmentation.png")
    }
    return _load(rows, files, masks, Source.HAM10000, lambda row: row["lesion_id"])


def load_isic2017(folder: Path) -> Examples:
    """ISIC 2017, squeezed to squares: the frames undo it. Without lesion ids, an image is a lesion.

    Raises ValueError if the metadata is missing or names an image that the folder does not hold.
    """
    files = {file.stem: file for file in (folder / "images").glob("*.jpg")}
    rows = _rows(folder / "metadata.csv")
    return _load(rows, files, {}, Source.ISIC2017, lambda row: row["image_id"])


def _metadata(folder: Path) -> Path:
    tables = sorted(folder.glob("*.csv"))
    original = folder / "HAM10000_metadata.csv"
    return tables[0] if len(tables) == 1 else original


def read_frame(file: Path) -> npt.NDArray[np.uint8]:
    """One image file stretched to FRAME, anti-aliased."""
    with Image.open(file) as image:
        frame = image.convert("RGB").resize(FRAME[::-1], Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(frame)


def read_mask(file: Path) -> npt.NDArray[np.bool_]:
    """One mask file (0 or 255) stretched to FRAME: bool [*FRAME]."""
    with Image.open(file) as image:
        mask = image.convert("L").resize(FRAME[::-1], Image.Resampling.BOX)
    shape: npt.NDArray[np.bool_] = np.asarray(mask) >= 128
    return shape


def _rows(file: Path) -> list[dict[str, str]]:
    if not file.is_file():
        raise ValueError(f"no metadata at {file}")
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def _load(
    rows: list[dict[str, str]],
    files: dict[str, Path],
    masks: dict[str, Path],
    source: Source,
    lesion_of: Callable[[dict[str, str]], str],
) -> Examples:
    missing = [row["image_id"] for row in rows if row["image_id"] not in files]
    if missing:
        raise ValueError(f"{len(missing)} images of the metadata are missing, such as {missing[0]}")
    known = tuple(
        PatientContext.parse(row["age"], row["sex"], row.get("localization")) for row in rows
    )
    diagnoses = list(Diagnosis)
    pixels = np.empty((len(rows), *FRAME, 3), np.uint8)
    shapes = np.zeros((len(rows), *FRAME), np.bool_)
    for number, row in enumerate(rows):
        pixels[number] = read_frame(files[row["image_id"]])
        if row["image_id"] in masks:
            shapes[number] = read_mask(masks[row["image_id"]])
    return Examples(
        pixels,
        np.stack([context.encode(one) for one in known]),
        np.array([diagnoses.index(Diagnosis(row["dx"])) for row in rows]),
        np.full(len(rows), int(source)),
        np.array([lesion_of(row) for row in rows]),
        np.array([row["image_id"] for row in rows]),
        known,
        shapes,
        np.array([row["image_id"] in masks for row in rows]),
    )
