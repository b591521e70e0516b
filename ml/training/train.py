"""Training: all sources mixed, logit-adjusted cross-entropy, one cycle, averaged weights."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ml import calibrate, figures
from ml.diagnoses import Diagnosis
from ml.training import backbone, data, network, outside, scenes
from ml.training.augment import augment
from ml.training.data import Examples, Part, Source
from ml.training.epochs import Targets, drop_context, epoch_batches, own_shares, shown
from ml.training.half import halve
from ml.training.packed import Material
from ml.training.recipe import Recipe, one_cycle
from ml.training.sources import Sources

SCENES = 600
NATURAL = "natural"


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


def outside_images(others: Examples, train: Examples, seed: int) -> Examples:
    """The images that the gate learns to reject: the others, and those drawn and composed from
    them.

    train: dermatoscopy, for skin and colours.
    """
    drawn = outside.drawn(outside.TRAINED_KINDS, 150, seed)
    groups = [others, outside.as_examples(drawn)]
    images = others.pixels[others.kinds == NATURAL]
    if len(images):
        groups.append(outside.as_examples(outside.in_colours_of(images, train.pixels, seed)))
        skins = scenes.margins(train, SCENES // 2, seed)
        if len(skins):
            afar = scenes.from_afar(skins, train, images, SCENES, seed)
            groups += [outside.as_examples(skins), outside.as_examples(afar)]
    return data.concatenate(groups)


class Training:
    """One run: the network, its optimiser, and where they are stored."""

    def __init__(
        self,
        train: Examples,
        recipe: Recipe,
        run: Path,
    ) -> None:
        keras.utils.set_random_seed(recipe.seed)
        self.train, self.recipe, self.run = train, recipe, run
        self.targets = Targets(shown(train, recipe), recipe.smoothing)
        self.model = network.build()
        backbone.keep(self.model.get_layer(backbone.NAME), recipe.kept)
        answers = {name: self.model.output[name] for name in ("logits", "in_distribution")}
        self.without_mask = keras.Model(self.model.input, answers)
        network.start_from(self.model, Path(recipe.start) if recipe.start else None)
        self.teachers = [network.load(Path(file)) for file in recipe.teachers]
        self.other = network.load(Path(recipe.mean_with)) if recipe.mean_with else None
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
        """Continue from the last finished epoch, if there is one."""
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
        views, shapes = augment(frames, masks, inside, size, self.recipe.augmentation)
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
        """The labels [n, k], a share of them replaced by the teachers' outputs for the same views.

        The teachers see the same views as the student: Beyer et al. 2022 (arXiv 2106.05237).
        """
        if not self.teachers:
            return label
        seen = {"pixels": views, "context": known}
        logits = [teacher(seen, training=False)["logits"] for teacher in self.teachers]
        said = tf.nn.softmax(tf.add_n(logits) / len(logits) + prior)
        return label + self.recipe.taught * (said - label)

    def _feed(
        self, rows: npt.NDArray[np.int64], mixed: float, rng: np.random.Generator
    ) -> list[Any]:
        sources, labels = self.train.sources[rows], np.maximum(self.train.labels[rows], 0)
        known = drop_context(self.train.context[rows], self.recipe, rng)
        label = self.targets.label[sources, labels]
        own = own_shares(sources, mixed, rng)
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

    def fit(self, tune: dict[Source, Examples]) -> None:
        """Train to the last epoch, keeping a checkpoint, `model.keras` and curves after each."""
        per_epoch, epochs = self.recipe.steps, len(self.recipe.sizes)
        costs = np.cumsum([0.0, *(float(size) ** 2 for size in self.recipe.sizes)])
        started, first = time.monotonic(), int(self.epoch.numpy())
        for epoch in range(first, epochs):
            rng = np.random.default_rng((self.recipe.seed, epoch, 1))
            size, losses = self.recipe.sizes[epoch], []
            mixed = self.recipe.mixed if epoch < epochs - self.recipe.unmixed else 0.0
            for number, rows in enumerate(epoch_batches(self.train, self.recipe, epoch)):
                rate = one_cycle(epoch * per_epoch + number, per_epoch * epochs, self.recipe)
                self.optimizer.learning_rate = rate
                with_mask = number % self.recipe.mask_every == 0
                found = self.step(*self._feed(rows, mixed, rng), size=size, with_mask=with_mask)
                losses.append([float(loss) for loss in found])
                if number % 50 == 49:
                    here = costs[epoch] + (costs[epoch + 1] - costs[epoch]) * number / per_epoch
                    left = (costs[-1] - here) / (here - costs[first]) * (time.monotonic() - started)
                    means = np.mean(losses[-50:], axis=0)
                    print(
                        f"epoch {epoch + 1}/{epochs} step {number + 1}/{per_epoch} "
                        f"at {size} px: class loss {means[0]:.3f}, gate loss {means[1]:.4f}, "
                        f"rate {rate:.2e}, {left / 60:.0f} min left",
                        flush=True,
                    )
            self.epoch.assign(epoch + 1)
            self.checkpoints.save()
            self.model.save(self.run / "model.keras")
            self._keep_curves(tune, epoch + 1, [float(mean) for mean in np.mean(losses, axis=0)])
        self.finish()
        print(f"done in {(time.monotonic() - started) / 60:.0f} min", flush=True)

    def finish(self) -> None:
        """Take the averaged weights, or their mean with another network's, round them to float16,
        and save `model.keras`.
        """
        self.optimizer.finalize_variable_values(self.model.trainable_variables)
        if self.other:
            network.mean_with(self.model, self.other)
        halve(self.model)
        self.model.save(self.run / "model.keras")

    def _keep_curves(self, tune: dict[Source, Examples], epoch: int, losses: list[float]) -> None:
        """Add the network's current results on a plain view of the tune parts to curves.json."""
        file, size = self.run / "curves.json", self.recipe.sizes[epoch - 1]
        kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
        point: dict[str, Any] = {"epoch": epoch, "size": size}
        point |= dict(zip(("class_loss", "gate_loss"), losses, strict=True))
        for source, examples in tune.items():
            labels = examples.labels
            chances = calibrate.softmax(self._plain(examples, size).astype(np.float64))
            right = chances.argmax(axis=1) == labels
            malignant = chances[:, calibrate.MALIGNANT_COLUMNS].sum(axis=1)
            point[source.name] = {
                "recalls": {
                    str(list(Diagnosis)[label]): float(right[labels == label].mean())
                    for label in np.unique(labels)
                },
                "auc_malignant": figures.auc(
                    malignant, np.isin(labels, calibrate.MALIGNANT_COLUMNS)
                ),
                "auc_mel": figures.auc(chances[:, calibrate.MEL], labels == calibrate.MEL),
            }
            recalls = point[source.name]["recalls"]
            print(
                f"after epoch {epoch}: {source.name} balanced accuracy "
                f"{np.mean(list(recalls.values())):.3f}, AUC of cancer "
                f"{point[source.name]['auc_malignant']:.3f}, of melanoma "
                f"{point[source.name]['auc_mel']:.3f}, recalls "
                + " ".join(f"{name} {recall:.2f}" for name, recall in recalls.items()),
                flush=True,
            )
        kept = [one for one in kept if one["epoch"] < epoch] + [point]
        file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")

    def _plain(self, examples: Examples, size: int) -> npt.NDArray[np.float32]:
        """[n, k]: the balanced logits of the centre of each frame."""
        height, width = data.FRAME
        left, logits = (width - height) // 2, [np.zeros((0, len(Diagnosis)), np.float32)]
        for start in range(0, len(examples), 64):
            frames = examples.pixels[start : start + 64, :, left : left + height]
            known = tf.constant(examples.context[start : start + 64])
            seen = {"pixels": tf.image.resize(frames, (size, size)), "context": known}
            logits.append(self.without_mask(seen, training=False)["logits"].numpy())
        return np.concatenate(logits)


def gather(sources: Sources) -> Material:
    """All training data. Raises ValueError if data is missing."""
    others = [outside.as_examples(np.empty((0, *data.FRAME, 3), np.uint8))]
    if sources.negatives:
        images = outside.natural(sources.negatives, held_out=False)
        others.append(outside.as_examples(images, NATURAL))
    if sources.closeups:
        others.append(sources.closeups.part(Part.TRAIN))
    return Material(sources.train(), sources.judging(Part.TUNE), data.concatenate(others))


def train(material: Material, run: Path, resume: bool, recipe: Recipe) -> None:
    """Train into `run`: checkpoints, model.keras, recipe.json, curves.json.

    Raises ValueError without data.
    """
    run.mkdir(parents=True, exist_ok=True)
    (run / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1) + "\n")
    inside = material.without(recipe.without)
    outsiders = outside_images(material.others, inside, recipe.seed)
    examples = data.concatenate([inside, outsiders])
    counts = {source.name: int((examples.sources == source).sum()) for source in Source}
    print("training images:", counts, flush=True)
    training = Training(examples, recipe, run)
    if resume:
        training.resume()
    training.fit(material.tune)
