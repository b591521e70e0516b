"""The composition of an epoch and its training targets: draws, priors, labels, blending."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ml import context
from ml.diagnoses import Diagnosis
from ml.training.data import Examples, Source
from ml.training.recipe import Recipe

Floats = npt.NDArray[np.float64]


def shown(train: Examples, recipe: Recipe) -> Floats:
    """[sources, k]: the share of an epoch's dermatoscopic images from each source and diagnosis;
    the share of a missing source goes to the others.
    """
    inside = (train.sources != Source.OUTSIDE) & (train.labels >= 0)
    counts = np.zeros((len(Source), len(Diagnosis)))
    np.add.at(counts, (train.sources[inside], train.labels[inside]), 1)
    within = np.where(counts > 0, counts**recipe.evenness, 0)
    within /= np.maximum(within.sum(axis=1, keepdims=True), 1e-9)
    shares: Floats = within * np.array([*recipe.shares, 0.0])[:, None]
    return shares / shares.sum()


@dataclass(slots=True)
class Targets:
    """Targets of the loss, by source: prior[s, k] to add to the logits, label[s, c, k] to reach.

    Menon et al. 2021 (arXiv 2007.07314): with log prior added in training, the bare logits are the
    balanced reading. The prior is that of an epoch, from `shown`. Diagnoses that a source does not
    have (ISIC 2017 has three) are removed from its softmax.
    """

    prior: npt.NDArray[np.float32] = field(init=False)
    label: npt.NDArray[np.float32] = field(init=False)

    def __init__(self, shares: Floats, smoothing: float) -> None:
        classes = len(Diagnosis)
        self.prior = np.zeros((len(Source), classes), np.float32)
        self.label = np.zeros((len(Source), classes, classes), np.float32)
        for source in np.flatnonzero(shares.any(axis=1)):
            columns = np.flatnonzero(shares[source])
            self.prior[source] = -1e9
            self.prior[source, columns] = np.log(shares[source, columns] / shares[source].sum())
            for column in columns:
                self.label[source, column, columns] = smoothing / len(columns)
                self.label[source, column, column] += 1 - smoothing


def epoch_batches(train: Examples, recipe: Recipe, epoch: int) -> Iterator[npt.NDArray[np.int64]]:
    """Rows of one epoch in whole batches: from each source and diagnosis the number that `shown`
    gives, and a share of outside images; none is repeated before all have been used once.
    """
    rng = np.random.default_rng((recipe.seed, epoch))
    outside_share = recipe.outside_share if (train.sources == Source.OUTSIDE).any() else 0.0
    wanted = recipe.steps * recipe.batch

    def draw(rows: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.int64]:
        number = int(np.ceil(wanted * share))
        times = -(-number // len(rows))
        return np.concatenate([rng.permutation(rows) for _ in range(times)])[:number]

    drawn = [
        draw(np.flatnonzero((train.sources == source) & (train.labels == label)), share)
        for (source, label), share in np.ndenumerate(shown(train, recipe) * (1 - outside_share))
        if share
    ]
    if outside_share:
        drawn.append(draw(np.flatnonzero(train.sources == Source.OUTSIDE), outside_share))
    rows = rng.permutation(np.concatenate(drawn))[:wanted]
    yield from rows.reshape(recipe.steps, recipe.batch)


def drop_context(
    known: npt.NDArray[np.float32], recipe: Recipe, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """[n, WIDTH] with all fields of some rows, and single fields of others, set to unknown."""
    keep_any = rng.random((len(known), 1)) >= recipe.drop_all_context
    keep_field = rng.random((len(known), len(context.FIELDS))) >= recipe.drop_one_field
    return known * np.repeat(keep_field & keep_any, context.WIDTHS, axis=1).astype(np.float32)


def own_shares(
    sources: npt.NDArray[np.int64], mixed: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """[n]: each image's weight in the blend; the rest is its partner's, from the batch in reverse
    order.

    mixed: the share of images into which another may be blended.

    (Zhang et al. 2018, arXiv 1710.09412.) Partners come from one source, because priors depend on
    it.
    """
    chosen = (rng.random(len(sources)) < mixed) & (sources == sources[::-1])
    return np.where(chosen, rng.uniform(0.5, 1.0, len(sources)), 1.0).astype(np.float32)
