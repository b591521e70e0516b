"""Shared by the reader's tests: synthetic images, the shipped reader, and the data if available."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ml.diagnoses import Diagnosis
from ml.reader import Reader, load
from ml.training import data, outside

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def draw_lesion(
    height: int = 450, width: int = 600, radius: float = 0.25, seed: int = 0
) -> npt.NDArray[np.uint8]:
    """Skin, redder in places, with one dark, uneven, sharp-edged spot in the centre."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    angle = np.arctan2(rows - height / 2, columns - width / 2)
    distance = np.hypot(rows - height / 2, columns - width / 2) / min(height, width)
    inside = (distance < radius * (1 + 0.15 * np.sin(5 * angle)))[..., None]
    skin, spot = np.array([215.0, 165.0, 150.0]), np.array([95.0, 55.0, 45.0])
    texture = rng.normal(0, 14, (height, width, 1))
    blush = rng.normal(0, 6, (9, 12, 1)) * [1.0, 0.2, -0.6]
    patches = blush[rows * 9 // height, columns * 12 // width]
    return np.clip(np.where(inside, spot, skin) + texture + patches, 0, 255).astype(np.uint8)


def examples(count: int = 24) -> data.Examples:
    """Synthetic lesions of all classes, like HAM10000's, and noise."""
    pixels = np.stack([draw_lesion(*data.FRAME, seed=number) for number in range(count)])
    lesions = replace(
        outside.as_examples(pixels),
        labels=np.arange(count) % len(Diagnosis),
        sources=np.full(count, int(data.Source.HAM10000)),
    )
    junk = outside.as_examples(outside.drawn({"noise": outside.draw_noise}, 4, 0))
    return data.concatenate([lesions, junk])


@pytest.fixture
def lesion() -> npt.NDArray[np.uint8]:
    return draw_lesion()


@pytest.fixture
def reader() -> Reader:
    return load()


@pytest.fixture
def ham10000() -> Path:
    folder = DATA / "ham10000"
    if not folder.is_dir():
        pytest.skip("HAM10000 is not there")
    return folder


@pytest.fixture
def milk10k() -> Path:
    folder = DATA / "milk10k"
    if not folder.is_dir():
        pytest.skip("MILK10k is not there")
    return folder
