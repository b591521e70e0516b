"""All training data in one small file that can be copied to another machine."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml import context
from ml.training import data
from ml.training.data import FRAME, Examples, Source
from ml.types import PatientContext

QUALITY = 40
"""Of the frames as WebP: about two kilobytes each, so that all of them fit into 40 MB."""
_PLAIN = ("labels", "sources", "lesions", "image_ids", "masked", "kinds", "tones")
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Material:
    """A run's training data and monitoring data.

    train: dermatoscopy; tune: by source; others: natural images and clinical close-ups, which the
    gate learns to reject (`ml.training.train.outside_images` adds more).
    """

    train: Examples
    tune: dict[Source, Examples]
    others: Examples

    def without(self, names: tuple[str, ...]) -> Examples:
        """The training images without the sources of these names."""
        left_out = [int(Source[name]) for name in names]
        return self.train.take(np.flatnonzero(~np.isin(self.train.sources, left_out)))


def pack(material: Material, file: Path) -> None:
    """Write it as one npz file."""
    tune = data.concatenate(material.tune.values())
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, some in (("train", material.train), ("tune", tune), ("others", material.others)):
        arrays |= _encoded(name, some)
    with file.open("wb") as opened:
        np.savez(opened, allow_pickle=False, **arrays)


def unpack(file: Path) -> Material:
    """Read what `pack` wrote; the frames are slightly lossy. Raises ValueError for another file."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            train, tune, others = (_decoded(name, arrays) for name in ("train", "tune", "others"))
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{file} holds no packed images") from error
    parts = {
        Source(number): tune.take(np.flatnonzero(tune.sources == number))
        for number in np.unique(tune.sources)
    }
    return Material(train, parts, others)


def _encoded(name: str, examples: Examples) -> dict[str, npt.NDArray[Any]]:
    frames = [Image.fromarray(frame) for frame in examples.pixels]
    shapes = [Image.fromarray(mask) for mask in examples.masks[examples.masked]]
    pictures = {
        "pixels": [_bytes(frame, "WEBP", quality=QUALITY) for frame in frames],
        "masks": [_bytes(shape, "PNG", optimize=True) for shape in shapes],
    }
    arrays: dict[str, npt.NDArray[Any]] = {}
    for kind, files in pictures.items():
        arrays[f"{name}/{kind}"] = np.frombuffer(b"".join(files), np.uint8)
        arrays[f"{name}/{kind}_sizes"] = np.array([len(one) for one in files], np.int64)
    for plain in _PLAIN:
        arrays[f"{name}/{plain}"] = getattr(examples, plain)
    ages = [np.nan if one.age is None else one.age for one in examples.known]
    arrays[f"{name}/ages"] = np.array(ages)
    arrays[f"{name}/sexes"] = np.array([one.sex or "" for one in examples.known])
    arrays[f"{name}/sites"] = np.array([one.localization or "" for one in examples.known])
    return arrays


def _bytes(image: Image.Image, kind: str, **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def _decoded(name: str, arrays: Any) -> Examples:
    plain = {field: arrays[f"{name}/{field}"] for field in _PLAIN}
    known = tuple(
        PatientContext(None if np.isnan(age) else float(age), str(sex) or None, str(site) or None)
        for age, sex, site in zip(
            arrays[f"{name}/ages"], arrays[f"{name}/sexes"], arrays[f"{name}/sites"], strict=True
        )
    )
    count = len(known)
    pixels, masks = np.empty((count, *FRAME, 3), np.uint8), np.zeros((count, *FRAME), np.bool_)
    _fill(pixels, np.arange(count), arrays, f"{name}/pixels", lambda image: image.convert("RGB"))
    _fill(masks, np.flatnonzero(plain["masked"]), arrays, f"{name}/masks", lambda image: image)
    encoded = np.zeros((count, context.WIDTH), np.float32)
    for row, one in zip(encoded, known, strict=True):
        row[:] = context.encode(one)
    return Examples(pixels=pixels, masks=masks, context=encoded, known=known, **plain)


def _fill(
    into: npt.NDArray[Any],
    rows: npt.NDArray[np.int64],
    arrays: Any,
    name: str,
    convert: Callable[[Image.Image], Image.Image],
) -> None:
    """Fill these rows with the pictures in one array, in order."""
    everything: Bytes = arrays[name]
    ends = np.cumsum(arrays[f"{name}_sizes"])
    starts = ends - arrays[f"{name}_sizes"]
    for row, start, end in zip(rows, starts, ends, strict=True):
        with Image.open(io.BytesIO(everything[start:end].tobytes())) as image:
            into[row] = np.asarray(convert(image))
