"""Training: all sources mixed, logit-adjusted cross-entropy, one cycle, averaged weights."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import numpy.typing as npt
from keras import KerasTensor, ops

from ml import calibrate, figures
from ml.diagnoses import Diagnosis
from ml.training import backbone, data, network, outside, scenes
from ml.training.data import Examples, Part, Source
from ml.training.epochs import Targets, shown
from ml.training.feed import Feed
from ml.training.half import halve
from ml.training.packed import Material
from ml.training.recipe import Recipe, one_cycle
from ml.training.sources import Sources
from ml.training.steps import Batch, Losses, Step, compiled

SCENES = 600
NATURAL = "natural"


def mask_loss(logits: KerasTensor, shapes: KerasTensor, masked: KerasTensor) -> KerasTensor:
    """Cross-entropy plus one minus the soft Jaccard index, over the images with a known mask.

    logits, shapes [n, h, w, 1]; masked [n] 0 or 1. (Jaccard as a loss: Yuan et al. 2017.)
    """
    entropy = ops.mean(ops.binary_crossentropy(shapes, logits, from_logits=True), axis=(1, 2, 3))
    said = ops.sigmoid(logits)
    both = ops.sum(said * shapes, axis=(1, 2, 3))
    either = ops.sum(said + shapes, axis=(1, 2, 3)) - both
    each = entropy + 1.0 - (both + 1.0) / (either + 1.0)
    return ops.sum(each * masked) / ops.maximum(ops.sum(masked), 1.0)


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
        self.recipe, self.run = recipe, run
        self.feed = Feed(train, Targets(shown(train, recipe), recipe.smoothing), recipe)
        self.model = network.build(recipe.seed)
        backbone.keep(self.model.get_layer(backbone.NAME), recipe.kept)
        names = ("logits", "in_distribution", "features")
        answers = {name: self.model.output[name] for name in names}
        self.without_mask = keras.Model(self.model.input, answers)
        network.start_from(self.model, Path(recipe.start) if recipe.start else None)
        self.teachers = [_teacher(Path(file)) for file in recipe.teachers]
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
        self.state = [*self.model.variables, *self.optimizer.variables]
        # One with the mask's loss, one without.
        self.steps = [self._compiled(net) for net in (self.model, self.without_mask)]
        self.epoch = 0
        self.checkpoint = run / "checkpoint.npz"

    def _compiled(self, net: keras.Model) -> Step:
        losses = partial(self._losses, net)
        return compiled(losses, net.trainable_variables, self.state, self.optimizer)

    def resume(self) -> None:
        """Continue from the last finished epoch, if there is one."""
        if not self.checkpoint.is_file():
            print("nothing to resume", flush=True)
            return
        with np.load(self.checkpoint) as kept:
            self.epoch = int(kept["epoch"])
            for number, variable in enumerate(self.state):
                variable.assign(kept[str(number)])
        print(f"resumed after epoch {self.epoch}", flush=True)

    def _keep(self) -> None:
        """Write the checkpoint: at no moment is there half of one."""
        values = {str(number): ops.convert_to_numpy(one) for number, one in enumerate(self.state)}
        file = self.checkpoint.with_suffix(".part")
        with file.open("wb") as opened:
            np.savez(opened, allow_pickle=False, epoch=self.epoch, **values)
        file.replace(self.checkpoint)

    def _losses(self, net: keras.Model, batch: Batch) -> Losses:
        """The whole loss of a batch, that of the classes and the gate's.

        Dropout of whole channels leaves the mean of the evidence the evidence of the mean, so it is
        applied to the features.
        """
        inside = batch["inside"]
        outputs = net({"pixels": batch["pixels"], "context": batch["context"]}, training=True)
        change = outputs["features"] * (batch["kept"] - 1.0)
        kernel = self.model.get_layer("evidence").kernel
        logits = outputs["logits"] + ops.matmul(change, kernel) + batch["prior"]
        each = ops.categorical_crossentropy(batch["label"], logits, from_logits=True)
        class_loss = ops.sum(each * inside) / ops.maximum(ops.sum(inside), 1.0)
        gate = outputs["in_distribution"][:, 0]
        gate_loss = ops.mean(ops.binary_crossentropy(inside, gate, from_logits=True))
        loss = class_loss + self.recipe.gate_weight * gate_loss
        if "mask" in outputs:
            wrong = mask_loss(outputs["mask"], batch["shapes"], batch["masked"])
            loss += self.recipe.mask_weight * wrong
        return [loss, class_loss, gate_loss]

    def _taught(self, batch: Batch) -> Batch:
        """The batch with a share of its labels replaced by the teachers' outputs for its views.

        The teachers see the same views as the student: Beyer et al. 2022 (arXiv 2106.05237).
        """
        if not self.teachers:
            return batch
        seen = {name: batch[name] for name in ("pixels", "context")}
        logits = np.mean([teacher.predict_on_batch(seen) for teacher in self.teachers], axis=0)
        said = calibrate.softmax(logits + batch["prior"]).astype(np.float32)
        return batch | {"label": batch["label"] + self.recipe.taught * (said - batch["label"])}

    def fit(self, tune: dict[Source, Examples]) -> None:
        """Train to the last epoch, keeping a checkpoint, `model.keras` and curves after each."""
        per_epoch, epochs = self.recipe.steps, len(self.recipe.sizes)
        costs = np.cumsum([0.0, *(float(size) ** 2 for size in self.recipe.sizes)])
        started, first = time.monotonic(), self.epoch
        for epoch in range(first, epochs):
            size, losses = self.recipe.sizes[epoch], []
            for number, batch in enumerate(self.feed.epoch(epoch)):
                rate = one_cycle(epoch * per_epoch + number, per_epoch * epochs, self.recipe)
                self.optimizer.learning_rate = rate
                step = self.steps[number % self.recipe.mask_every > 0]
                losses.append([float(loss) for loss in step(self._taught(batch))[1:]])
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
            self.epoch = epoch + 1
            self._keep()
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
        left = (width - height) // 2
        centres = examples.pixels[:, :, left : left + height]
        views = np.stack([cv2.resize(centre, (size, size)) for centre in centres])
        seen = {"pixels": views.astype(np.float32), "context": examples.context}
        logits: npt.NDArray[np.float32] = self.without_mask.predict(seen, 64, verbose=0)["logits"]
        return logits


def _teacher(file: Path) -> keras.Model:
    model = network.load(file)
    return keras.Model(model.input, model.output["logits"])


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
    """Train into `run`: checkpoint.npz, model.keras, recipe.json, curves.json.

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
