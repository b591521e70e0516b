"""The batches of an epoch, made in threads ahead of the steps: the same on every machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.training import backbone
from ml.training.augment import augment
from ml.training.data import Examples, Source
from ml.training.epochs import Targets, drop_context, epoch_batches, own_shares
from ml.training.recipe import Recipe
from ml.training.steps import Batch

AHEAD = 8
"""Batches that wait: 15 MB each, at 192 px."""
DROPOUT = 0.2


@dataclass(frozen=True, slots=True)
class Feed:
    """Batches of the training images."""

    train: Examples
    targets: Targets
    recipe: Recipe

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, the same in every run of a recipe."""
        recipe, waiting = self.recipe, deque[Future[Batch]]()
        mixed = recipe.mixed if epoch < len(recipe.sizes) - recipe.unmixed else 0.0
        with ThreadPoolExecutor() as pool:
            for number, rows in enumerate(epoch_batches(self.train, recipe, epoch)):
                rng = np.random.default_rng((recipe.seed, epoch, number, 1))
                waiting.append(pool.submit(self.batch, rows, recipe.sizes[epoch], mixed, rng))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def batch(
        self, rows: npt.NDArray[np.int64], size: int, mixed: float, rng: np.random.Generator
    ) -> Batch:
        """Views, context and targets of these images, some blended with their partners.

        kept [n, features]: 0 where dropout removes a feature from the logits.
        """
        train, recipe = self.train, self.recipe
        sources, labels = train.sources[rows], np.maximum(train.labels[rows], 0)
        own = own_shares(sources, mixed, rng)
        inside = (sources != Source.OUTSIDE).astype(np.float32)
        views, shapes = augment(
            train.pixels[rows], train.masks[rows], inside, size, recipe.augmentation, rng
        )
        kept = rng.random((len(rows), backbone.FEATURES), np.float32) >= DROPOUT
        return {
            "pixels": _blended(views, own),
            "context": _blended(drop_context(train.context[rows], recipe, rng), own),
            "label": _blended(self.targets.label[sources, labels], own),
            "prior": self.targets.prior[sources],
            "inside": inside,
            "shapes": shapes,
            "masked": (train.masked[rows] & (own == 1)).astype(np.float32),
            "kept": kept.astype(np.float32) / np.float32(1 - DROPOUT),
        }


def _blended(
    values: npt.NDArray[np.float32], own: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Each with its own share; the rest is its partner's, from the batch in reverse order."""
    blended, partners = values.copy(), values[::-1]
    for row in np.flatnonzero(own < 1):
        blended[row] = own[row] * values[row] + (1 - own[row]) * partners[row]
    return blended
