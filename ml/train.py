"""Training: HAM10000 and ISIC 2017 mixed, logit-adjusted cross-entropy, one cycle, EMA weights."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ml import context, data, network, outside, scenes
from ml.augment import augment
from ml.data import Examples, Part, Source
from ml.recipe import RARE, Recipe, one_cycle
from ml.types import Diagnosis

ISIC2017_CLASSES = (Diagnosis.BKL, Diagnosis.MEL, Diagnosis.NV)

SCENES = 600

Repeats = npt.NDArray[np.int64]


@dataclass(slots=True)
class Targets:
    """What the loss needs, by source: prior[s, 7] to add to the logits, label[s, c, 7] to reach.

    Menon et al. 2021 (arXiv 2007.07314): with log prior added in training, the bare logits are
    the balanced reading. The prior is that of an epoch, whose `repeats` [n] say how often an image
    is in it. ISIC 2017 knows three classes; the others are taken out of its softmax.
    """

    prior: npt.NDArray[np.float32] = field(init=False)
    label: npt.NDArray[np.float32] = field(init=False)

    def __init__(self, train: Examples, smoothing: float, repeats: Repeats) -> None:
        classes = len(Diagnosis)
        self.prior = np.zeros((len(Source), classes), np.float32)
        self.label = np.zeros((len(Source), classes, classes), np.float32)
        allowed = {Source.HAM10000: tuple(Diagnosis), Source.ISIC2017: ISIC2017_CLASSES}
        for source, diagnoses in allowed.items():
            there = train.sources == source
            columns = [list(Diagnosis).index(diagnosis) for diagnosis in diagnoses]
            counts = np.bincount(train.labels[there], repeats[there], classes)[columns]
            self.prior[source] = -1e9
            self.prior[source, columns] = np.log(np.maximum(counts, 1) / max(counts.sum(), 1))
            for column in columns:
                self.label[source, column, columns] = smoothing / len(columns)
                self.label[source, column, column] += 1 - smoothing


def repeats_in_an_epoch(train: Examples, recipe: Recipe) -> Repeats:
    """[n]: how often an epoch shows each image; outside images (0) are drawn at random instead."""
    ham10000 = train.sources == Source.HAM10000
    counts = np.bincount(train.labels[ham10000], minlength=len(Diagnosis))
    rare = ham10000 & (counts[np.maximum(train.labels, 0)] < RARE)
    return np.select(
        [rare, ham10000, train.sources == Source.ISIC2017],
        [recipe.rare_repeats, 1, recipe.isic2017_repeats],
        default=0,
    )


def epoch_batches(train: Examples, recipe: Recipe, epoch: int) -> Iterator[npt.NDArray[np.int64]]:
    """Rows of one epoch in whole batches: each image so often as `repeats_in_an_epoch` says, and a
    share of outside images drawn at random."""
    rng = np.random.default_rng((recipe.seed, epoch))
    inside = np.repeat(np.arange(len(train)), repeats_in_an_epoch(train, recipe))
    junk = np.flatnonzero(train.sources == Source.OUTSIDE)
    share = recipe.outside_share / (1 - recipe.outside_share)
    drawn = rng.choice(junk, int(len(inside) * share)) if len(junk) else junk
    rows = rng.permutation(np.concatenate([inside, drawn]))
    whole = len(rows) // recipe.batch
    yield from rows[: whole * recipe.batch].reshape(whole, recipe.batch)


def drop_context(
    known: npt.NDArray[np.float32], recipe: Recipe, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """[n, WIDTH] with all fields of some rows, and single fields of others, made unknown."""
    keep_any = rng.random((len(known), 1)) >= recipe.drop_all_context
    keep_field = rng.random((len(known), len(context.FIELDS))) >= recipe.drop_one_field
    return known * np.repeat(keep_field & keep_any, context.WIDTHS, axis=1).astype(np.float32)


def own_shares(
    sources: npt.NDArray[np.int64], recipe: Recipe, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """[n]: how much of each image is its own, the rest being its partner's, the batch backwards.

    (Zhang et al. 2018, arXiv 1710.09412.) Partners are of one source, since priors are a source's.
    """
    chosen = (rng.random(len(sources)) < recipe.mixed) & (sources == sources[::-1])
    return np.where(chosen, rng.uniform(0.5, 1.0, len(sources)), 1.0).astype(np.float32)


def mask_loss(logits: tf.Tensor, shapes: tf.Tensor, masked: tf.Tensor) -> tf.Tensor:
    """Cross-entropy plus one minus the soft Jaccard index, over the images with a known mask.

    logits, shapes [n, h, w, 1]; masked [n] 0 or 1. (Jaccard as a loss: Yuan et al. 2017.)
    """
    entropy = tf.reduce_mean(
        tf.nn.sigmoid_cross_entropy_with_logits(shapes, logits), axis=(1, 2, 3)
    )
    said = tf.sigmoid(logits)
    both = tf.reduce_sum(said * shapes, axis=(1, 2, 3))
    either = tf.reduce_sum(said + shapes, axis=(1, 2, 3)) - both
    each = entropy + 1.0 - (both + 1.0) / (either + 1.0)
    return tf.reduce_sum(each * masked) / tf.maximum(tf.reduce_sum(masked), 1.0)


def gather(
    ham10000: Path, isic2017: Path | None, negatives: Path | None, seed: int
) -> tuple[Examples, Examples]:
    """The training examples, and HAM10000's tune part. Raises ValueError where data is missing."""
    whole = data.load_ham10000(ham10000)
    groups = [whole.part(Part.TRAIN)]
    if isic2017:
        groups.append(data.load_isic2017(isic2017).part(Part.TRAIN))
    if negatives:
        images = outside.natural(negatives, held_out=False)
        recoloured = outside.in_colours_of(images, groups[0].pixels, seed)
        groups += [outside.as_examples(images), outside.as_examples(recoloured)]
        skins = scenes.margins(groups[0], SCENES // 2, seed)
        if len(skins):
            afar = scenes.from_afar(skins, groups[0], images, SCENES, seed)
            groups += [outside.as_examples(skins), outside.as_examples(afar)]
    drawn = outside.drawn(outside.TRAINED_KINDS, 150, seed)
    groups.append(outside.as_examples(drawn))
    return data.concatenate(groups), whole.part(Part.TUNE)


class Training:
    """One run: the network, its optimiser, and where they are kept."""

    def __init__(
        self,
        train: Examples,
        recipe: Recipe,
        run: Path,
    ) -> None:
        keras.utils.set_random_seed(recipe.seed)
        self.train, self.recipe, self.run = train, recipe, run
        repeats = repeats_in_an_epoch(train, recipe)
        self.targets = Targets(train, recipe.smoothing, repeats)
        self.model = network.build()
        answers = {name: self.model.output[name] for name in ("logits", "in_distribution")}
        self.without_mask = keras.Model(self.model.input, answers)
        network.start_from(self.model, Path(recipe.start) if recipe.start else None)
        self.teachers = [network.load(Path(file)) for file in recipe.teachers]
        self.optimizer = keras.optimizers.AdamW(
            recipe.peak_rate,
            weight_decay=recipe.weight_decay,
            clipnorm=1.0,
            use_ema=True,
            ema_momentum=recipe.ema,
        )
        self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self.optimizer.build(self.model.trainable_variables)
        self.epoch = tf.Variable(0, dtype=tf.int64)
        kept = tf.train.Checkpoint(model=self.model, optimizer=self.optimizer, epoch=self.epoch)
        self.checkpoints = tf.train.CheckpointManager(kept, str(run / "checkpoints"), max_to_keep=2)
        self.step = tf.function(self._step)

    def resume(self) -> None:
        """Go on from the last finished epoch, if there is one."""
        found = self.checkpoints.restore_or_initialize()
        print(f"resumed from {found}" if found else "nothing to resume", flush=True)

    def _step(
        self,
        frames: tf.Tensor,
        masks: tf.Tensor,
        masked: tf.Tensor,
        known: tf.Tensor,
        prior: tf.Tensor,
        label: tf.Tensor,
        inside: tf.Tensor,
        own: tf.Tensor,
        size: int,
        with_mask: bool,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One batch; returns the class loss and the gate's."""
        views, shapes = augment(frames, masks, size, self.recipe.augmentation)
        share = own[:, None, None, None]
        views = share * views + (1.0 - share) * views[::-1]
        label = self._taught(views, known, prior, label)
        with tf.GradientTape() as tape:
            network = self.model if with_mask else self.without_mask
            outputs = network({"pixels": views, "context": known}, training=True)
            each = tf.nn.softmax_cross_entropy_with_logits(label, outputs["logits"] + prior)
            class_loss = tf.reduce_sum(each * inside) / tf.maximum(tf.reduce_sum(inside), 1.0)
            gate_loss = tf.reduce_mean(
                tf.nn.sigmoid_cross_entropy_with_logits(inside, outputs["in_distribution"][:, 0])
            )
            loss = class_loss + self.recipe.gate_weight * gate_loss
            if with_mask:
                loss += self.recipe.mask_weight * mask_loss(outputs["mask"], shapes, masked)
        variables = network.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return class_loss, gate_loss

    def _taught(
        self, views: tf.Tensor, known: tf.Tensor, prior: tf.Tensor, label: tf.Tensor
    ) -> tf.Tensor:
        """The labels [n, 7], a share of them replaced by what the teachers make of the same views.

        Teachers that see what the pupil sees: Beyer et al. 2022 (arXiv 2106.05237).
        """
        if not self.teachers:
            return label
        seen = {"pixels": views, "context": known}
        logits = [teacher(seen, training=False)["logits"] for teacher in self.teachers]
        said = tf.nn.softmax(tf.add_n(logits) / len(logits) + prior)
        return label + self.recipe.taught * (said - label)

    def _feed(self, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> list[Any]:
        sources, labels = self.train.sources[rows], np.maximum(self.train.labels[rows], 0)
        known = drop_context(self.train.context[rows], self.recipe, rng)
        label = self.targets.label[sources, labels]
        own = own_shares(sources, self.recipe, rng)
        share, whole = own[:, None], own == 1.0
        return [
            tf.constant(self.train.pixels[rows]),
            tf.constant(self.train.masks[rows]),
            tf.constant((self.train.masked[rows] & whole).astype(np.float32)),
            tf.constant(share * known + (1 - share) * known[::-1]),
            tf.constant(self.targets.prior[sources]),
            tf.constant(share * label + (1 - share) * label[::-1]),
            tf.constant((sources != Source.OUTSIDE).astype(np.float32)),
            tf.constant(own),
        ]

    def fit(self, tune: Examples) -> None:
        """Train to the last epoch, keeping a checkpoint and `model.keras` after each."""
        per_epoch = sum(1 for _ in epoch_batches(self.train, self.recipe, 0))
        steps = per_epoch * len(self.recipe.sizes)
        costs = np.cumsum([0.0, *(float(size) ** 2 for size in self.recipe.sizes)])
        started, first = time.monotonic(), int(self.epoch.numpy())
        for epoch in range(first, len(self.recipe.sizes)):
            rng = np.random.default_rng((self.recipe.seed, epoch, 1))
            size, losses = self.recipe.sizes[epoch], []
            for number, rows in enumerate(epoch_batches(self.train, self.recipe, epoch)):
                rate = one_cycle(epoch * per_epoch + number, steps, self.recipe)
                self.optimizer.learning_rate = rate
                with_mask = number % self.recipe.mask_every == 0
                found = self.step(*self._feed(rows, rng), size=size, with_mask=with_mask)
                losses.append([float(loss) for loss in found])
                if number % 50 == 49:
                    here = costs[epoch] + (costs[epoch + 1] - costs[epoch]) * number / per_epoch
                    left = (costs[-1] - here) / (here - costs[first]) * (time.monotonic() - started)
                    means = np.mean(losses[-50:], axis=0)
                    print(
                        f"epoch {epoch + 1}/{len(self.recipe.sizes)} step {number + 1}/{per_epoch} "
                        f"at {size} px: class loss {means[0]:.3f}, gate loss {means[1]:.4f}, "
                        f"rate {rate:.2e}, {left / 60:.0f} min left",
                        flush=True,
                    )
            self.epoch.assign(epoch + 1)
            self.checkpoints.save()
            self._keep(tune, epoch, size)
        self.optimizer.finalize_variable_values(self.model.trainable_variables)
        self.model.save(self.run / "model.keras")
        print(f"done in {(time.monotonic() - started) / 60:.0f} min", flush=True)

    def _keep(self, tune: Examples, epoch: int, size: int) -> None:
        """Save the network as it is and print how it does on one plain view of the tune part."""
        self.model.save(self.run / "model.keras")
        frames = tune.pixels[:, :, 25:175]
        logits = []
        for start in range(0, len(tune), 64):
            views = tf.image.resize(frames[start : start + 64], (size, size))
            known = tf.constant(tune.context[start : start + 64])
            outputs = self.model({"pixels": views, "context": known}, training=False)
            logits.append(outputs["logits"].numpy())
        right = np.concatenate(logits).argmax(1) == tune.labels
        recalls = [float(right[tune.labels == label].mean()) for label in np.unique(tune.labels)]
        print(
            f"after epoch {epoch + 1}: tune accuracy {right.mean():.3f}, balanced accuracy "
            f"{np.mean(recalls):.3f}, recalls {' '.join(f'{recall:.2f}' for recall in recalls)}",
            flush=True,
        )


def train(
    ham10000: Path,
    isic2017: Path | None,
    negatives: Path | None,
    run: Path,
    resume: bool,
    recipe: Recipe,
) -> None:
    """Train into `run`: checkpoints, model.keras, recipe.json. Raises ValueError without data."""
    run.mkdir(parents=True, exist_ok=True)
    (run / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1) + "\n")
    examples, tune = gather(ham10000, isic2017, negatives, recipe.seed)
    counts = {source.name: int((examples.sources == source).sum()) for source in Source}
    print("training images:", counts, "tune images:", len(tune), flush=True)
    training = Training(examples, recipe, run)
    if resume:
        training.resume()
    training.fit(tune)
