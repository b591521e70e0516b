"""HAM10000, ISIC 2017 and MILK10k, loaded from disk into arrays and split by lesion.

All frames are stored at FRAME. Some files are coarser, and sharpness reveals an image's source, so
`ml.training.augment` blurs and sharpens every source at random.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml import context
from ml.diagnoses import Diagnosis
from ml.types import PatientContext

FRAME = (192, 256)
"""Height and width of a frame in memory."""
OLD_SEED = 58
"""The seed of the split for the networks up to 2026.11.4."""
OLD_TRAIN_FROM = 0.17
"""Positions above this were training data of the networks that training starts from, so they stay
there.
"""
SPLIT_SEED = 1
"""The seed, among 0..59, whose parts have class shares closest to the whole's."""
TUNE_SHARE, TEST_SHARE = 0.12, 0.15
"""Shares of MILK10k's lesions."""
SAME_LESIONS = {
    "HAM_0002605": "HAM_0002606",
    "HAM_0002659": "HAM_0001220",
    "HAM_0005814": "HAM_0007483",
    "HAM_0006286": "HAM_0006197",
    "HAM_0006359": "HAM_0000532",
    "HAM_0006988": "HAM_0000959",
}
"""Six of HAM10000's lesions that are the same as another one by MILK10k's column `also`: without
this they would be in the training part and in another one.
"""
FINE_SHARE = 0.4
"""The share of HAM10000's images stored at full resolution, the same for each diagnosis."""
FINE_FOLDER = "images_224"
HAM_FOLDERS = ("images_200x150", "HAM10000_images_part_1", "HAM10000_images_part_2")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
MASK_FOLDERS = ("masks", "HAM10000_segmentations_lesion_tschandl")


class Source(IntEnum):
    HAM10000 = 0
    ISIC2017 = 1
    MILK10K = 2
    OUTSIDE = 3


class Part(StrEnum):
    TRAIN = "train"
    TUNE = "tune"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Examples:
    """n images. pixels uint8 [n, *FRAME, 3]; context [n, context.WIDTH]; labels int [n] in the
    order of Diagnosis (-1: none of them); sources int [n]; lesions, image_ids str [n]; known: n
    contexts. masks bool [n, *FRAME]: the pixels of the lesion; masked bool [n]: whether the mask is
    known. kinds str [n]: the source's own term for the diagnosis; tones int [n]: MILK10k's skin
    tone, 0 darkest to 5 lightest, -1 if unlabelled.
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
    kinds: npt.NDArray[np.str_]
    tones: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.int64]) -> Examples:
        """These rows, in this order."""
        arrays = {name: getattr(self, name)[rows] for name in self._arrays()}
        return Examples(known=tuple(self.known[row] for row in rows), **arrays)

    @classmethod
    def _arrays(cls) -> list[str]:
        return [one.name for one in fields(cls) if one.name != "known"]

    def part(self, part: Part) -> Examples:
        """The images of the lesions in one part of the split."""
        chosen = [part_of(lesion) is part for lesion in self.lesions]
        return self.take(np.flatnonzero(chosen))


def part_of(lesion: str) -> Part:
    """The part that a lesion is in, from its id alone: the same in every copy of the data.

    MILK10k's ids begin with IL_. All others keep the old split's training part; its other lesions
    are divided anew into equal tune and test parts.
    """
    lesion = SAME_LESIONS.get(lesion, lesion)
    tune, test = TUNE_SHARE, TEST_SHARE
    if not lesion.startswith("IL_"):
        if position(OLD_SEED, lesion) >= OLD_TRAIN_FROM:
            return Part.TRAIN
        tune = test = 0.5
    here = position(SPLIT_SEED, lesion)
    if here < tune:
        return Part.TUNE
    return Part.TEST if here < tune + test else Part.TRAIN


def position(seed: int, name: str) -> float:
    """A pseudo-random number in 0..1 that depends only on the name."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
    return int(digest[:13], 16) / 16**13


def concatenate(groups: Iterable[Examples]) -> Examples:
    """The groups one after another."""
    listed = list(groups)
    arrays = {
        name: np.concatenate([getattr(group, name) for group in listed])
        for name in Examples._arrays()
    }
    return Examples(known=tuple(known for group in listed for known in group.known), **arrays)


def load_ham10000(folder: Path) -> Examples:
    """HAM10000 as downloaded, the reduced copies, or any folder of images with one CSV file of the
    same columns; with masks or without.

    Raises ValueError if the metadata is missing or names an image that is in no folder.
    """
    folders = [folder / name for name in HAM_FOLDERS if (folder / name).is_dir()] or [folder]
    rows = rows_of(folder)
    masks = {
        file.stem.removesuffix("_segmentation"): file
        for name in MASK_FOLDERS
        for file in (folder / name).glob("*_segmentation.png")
    }
    examples = _load(rows, _files(*folders), masks, Source.HAM10000, lambda row: row["lesion_id"])
    _refine(examples, _files(folder / FINE_FOLDER))
    return examples


def lesions_of_images(folder: Path) -> dict[str, str]:
    """HAM10000's lesion of each image, by image id. Raises ValueError without the metadata."""
    return {row["image_id"]: row["lesion_id"] for row in rows_of(folder)}


def _refine(examples: Examples, files: dict[str, Path]) -> None:
    """Replace the centre of coarse frames with the finer squares, where available.

    Which images have one differs by diagnosis; as many are used as give every diagnosis the same
    share.
    """
    for label in range(len(Diagnosis)):
        own = np.flatnonzero(examples.labels == label)
        fine = [row for row in own if examples.image_ids[row] in files]
        fine.sort(key=lambda row: position(SPLIT_SEED, str(examples.image_ids[row])))
        for row in fine[: round(FINE_SHARE * len(own))]:
            height, width = FRAME
            with Image.open(files[str(examples.image_ids[row])]) as image:
                square = image.convert("RGB").resize((height, height), Image.Resampling.LANCZOS)
            left = (width - height) // 2
            examples.pixels[row, :, left : left + height] = np.asarray(square)


def load_isic2017(folder: Path) -> Examples:
    """ISIC 2017, squeezed to squares; the frames undo it. Without lesion ids, each image is a
    lesion.

    Raises ValueError if the metadata is missing or names an image that is not in the folder.
    """
    rows, files = rows_of(folder), _files(folder / "images")
    return _load(rows, files, {}, Source.ISIC2017, lambda row: row["image_id"])


def load_milk10k(folder: Path, same: dict[str, str], closeups: bool = False) -> Examples:
    """MILK10k's dermatoscopic images or, as outside images, its clinical close-ups.

    same: HAM10000's lesions by image id. A lesion that is also in HAM10000 (column `also`) gets its
    name from there, so that it is in the same part. A label is -1 if no diagnosis fits. Raises
    ValueError if the metadata is missing or names an image that is not in the folder.
    """
    kind = "clinical" if closeups else "dermoscopic"
    rows = [row for row in rows_of(folder) if row["image_type"] == kind]

    def lesion_of(row: dict[str, str]) -> str:
        names = [same[image] for image in row["also"].split() if image in same]
        return min(names, default=row["lesion_id"])

    source = Source.OUTSIDE if closeups else Source.MILK10K
    return _load(rows, _files(folder / kind), {}, source, lesion_of)


def _files(*folders: Path) -> dict[str, Path]:
    """The images in the folders and their subfolders, by name without suffix."""
    return {
        file.stem: file
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in IMAGE_SUFFIXES
    }


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


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rows of a source's metadata. Raises ValueError if there is none."""
    file = _metadata(folder)
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
    pixels = np.empty((len(rows), *FRAME, 3), np.uint8)
    shapes = np.zeros((len(rows), *FRAME), np.bool_)
    for number, row in enumerate(rows):
        pixels[number] = read_frame(files[row["image_id"]])
        if row["image_id"] in masks:
            shapes[number] = read_mask(masks[row["image_id"]])
    return Examples(
        pixels,
        np.stack([context.encode(one) for one in known]),
        np.array([_label(row, source) for row in rows]),
        np.full(len(rows), int(source)),
        np.array([lesion_of(row) for row in rows]),
        np.array([row["image_id"] for row in rows]),
        known,
        shapes,
        np.array([row["image_id"] in masks for row in rows]),
        np.array([row.get("dx_milk") or row["dx"] for row in rows]),
        np.array([int(row.get("skin_tone_class") or -1) for row in rows]),
    )


def _label(row: dict[str, str], source: Source) -> int:
    if source is Source.OUTSIDE or not row["dx"]:
        return -1
    return list(Diagnosis).index(Diagnosis(row["dx"]))
