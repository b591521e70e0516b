"""What an epoch shows, and what is to be learnt from it: draws, priors, labels, blending."""

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
    """[sources, k]: the share of an epoch's dermatoscopic images that are of a source and of a
    diagnosis; of a source that is not there the others have more."""
    inside = (train.sources != Source.OUTSIDE) & (train.labels >= 0)
    counts = np.zeros((len(Source), len(Diagnosis)))
    np.add.at(counts, (train.sources[inside], train.labels[inside]), 1)
    within = np.where(counts > 0, counts**recipe.evenness, 0)
    within /= np.maximum(within.sum(axis=1, keepdims=True), 1e-9)
    shares: Floats = within * np.array([*recipe.shares, 0.0])[:, None]
    return shares / shares.sum()


@dataclass(slots=True)
class Targets:
    """What the loss needs, by source: prior[s, k] to add to the logits, label[s, c, k] to reach.

    Menon et al. 2021 (arXiv 2007.07314): with log prior added in training, the bare logits are
    the balanced reading. The prior is that of an epoch, from what `shown` says. What a source does
    not know (ISIC 2017 has three diagnoses) is taken out of its softmax.
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
    """Rows of one epoch in whole batches: of each source and diagnosis so many as `shown` says,
    and a share of outside images, none twice before all were there once."""
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
    """[n, WIDTH] with all fields of some rows, and single fields of others, made unknown."""
    keep_any = rng.random((len(known), 1)) >= recipe.drop_all_context
    keep_field = rng.random((len(known), len(context.FIELDS))) >= recipe.drop_one_field
    return known * np.repeat(keep_field & keep_any, context.WIDTHS, axis=1).astype(np.float32)


def own_shares(
    sources: npt.NDArray[np.int64], mixed: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """[n]: how much of each image is its own, the rest being its partner's, the batch backwards.

    mixed: the share of images that another one may be blended into.

    (Zhang et al. 2018, arXiv 1710.09412.) Partners are of one source, since priors are a source's.
    """
    chosen = (rng.random(len(sources)) < mixed) & (sources == sources[::-1])
    return np.where(chosen, rng.uniform(0.5, 1.0, len(sources)), 1.0).astype(np.float32)
