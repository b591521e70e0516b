"""The settings of a training run, stored as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that defines a run besides the data.

    start: the file of a network (keras) or of ImageNet weights (pth) to start from; by default the
    package's. teachers: files of networks to learn from, `taught` being their share in the labels.
    kept: how many of the backbone's first blocks stay frozen, which saves a third of the time.
    without: names of sources to leave out, to be evaluated on like a new clinic. sizes: the view's
    side for each epoch, which has `steps` steps. shares: how much of an epoch is HAM10000, ISIC
    2017, MILK10k. evenness: within a source a diagnosis is shown in proportion to its number of
    images to this power: 1 as they come, 0 all equally often. mask_every: the mask is trained in
    every n-th step, because its decoder takes half as long as everything else. mixed: the share of
    images that another one is blended into, but not in the last `unmixed` epochs. ema: how slowly
    the averaged weights follow. mean_with: the file of another network; at the end, the weights are
    the mean of its and the trained ones.
    """

    start: str = ""
    teachers: tuple[str, ...] = ()
    taught: float = 0.5
    kept: int = 0
    without: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (128,) * 6 + (160,) * 9
    steps: int = 300
    batch: int = 32
    peak_rate: float = 1.5e-3
    warm_up: float = 0.1
    weight_decay: float = 0.02
    smoothing: float = 0.05
    gate_weight: float = 0.5
    mask_weight: float = 0.5
    mask_every: int = 3
    outside_share: float = 0.12
    shares: tuple[float, ...] = (0.45, 0.2, 0.35)
    evenness: float = 0.5
    drop_all_context: float = 0.3
    drop_one_field: float = 0.1
    augmentation: float = 0.6
    mixed: float = 0.2
    unmixed: int = 2
    ema: float = 0.999
    mean_with: str = ""
    seed: int = 21


def read_recipe(file: Path) -> Recipe:
    """Parse a recipe as `train` writes it; missing values get their default. Raises ValueError."""
    fields = json.loads(file.read_text(encoding="utf-8"))
    try:
        lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return replace(Recipe(), **fields | lists)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{file} is no recipe: {error}") from None


def one_cycle(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate: a linear rise to the peak, then half a cosine down to a thousandth."""
    done = step / steps
    if done < recipe.warm_up:
        return recipe.peak_rate * (0.04 + 0.96 * done / recipe.warm_up)
    fall = (done - recipe.warm_up) / (1 - recipe.warm_up)
    return recipe.peak_rate * (0.001 + 0.999 * 0.5 * (1 + float(np.cos(np.pi * fall))))
