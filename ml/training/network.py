"""The Keras network: a backbone's features, a linear head, additive context, a gate, a mask."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from ml import context
from ml.diagnoses import Diagnosis
from ml.training import backbone, imagenet
from ml.training.backbone import FusedNormalization

CLASSES = len(Diagnosis)
WIDTHS = (96, 64, 48, 32, 16)
"""The width of the mask's decoder at each of the backbone's feature maps, coarsest first."""


@keras.saving.register_keras_serializable("skincheck")
class Bias(keras.layers.Layer):
    """Adds one learned number to each feature."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.bias = self.add_weight(shape=input_shape[-1:], initializer="zeros", name="bias")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return inputs + self.bias


def build(seed: int = 0) -> keras.Model:
    """pixels [n, h, w, 3] (0..255) and context [n, context.WIDTH] to a dict of outputs.

    With F [h/32, w/32, 1280] the last feature map:
    evidence [n, h/32, w/32, k] = F . W: what each place says for each class.
    image_logits [n, k] = bias + the mean of the evidence over all places.
    context_terms [n, 3, k]: what age, sex and localization add; a missing one adds exactly zero.
    logits [n, k] = image_logits + the sum of context_terms: the balanced reading.
    features [n, 1280] = the mean of F over all places.
    in_distribution [n, 1]: logit of "this is a dermatoscopic image".
    mask [n, h/2, w/2, 1]: logit of "this place belongs to the lesion".
    """
    pixels = keras.Input((None, None, 3), name="pixels")
    known = keras.Input((context.WIDTH,), name="context")
    maps = backbone.build()(keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pixels))
    evidence = keras.layers.Dense(CLASSES, use_bias=False, name="evidence")(maps[0])
    mean = keras.layers.GlobalAveragePooling2D(name="mean_evidence")(evidence)
    image_logits = Bias(name="image_logits")(mean)
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(maps[0])
    terms = _context_terms(known)
    logits = keras.layers.Add(name="logits")([image_logits, *terms])
    context_terms = keras.layers.Concatenate(axis=1, name="context_terms")(
        [keras.layers.Reshape((1, CLASSES))(term) for term in terms]
    )
    gate = keras.layers.Dense(1, name="in_distribution")(pooled)
    outputs = {
        "image_logits": image_logits,
        "context_terms": context_terms,
        "logits": logits,
        "features": pooled,
        "in_distribution": gate,
        "evidence": evidence,
        "mask": _mask(maps),
    }
    model = keras.Model({"pixels": pixels, "context": known}, outputs, name="skincheck")
    _draw(model, np.random.default_rng(seed))
    return model


def _draw(model: keras.Model, rng: np.random.Generator) -> None:
    """Draw the kernels anew by NumPy, so that every backend starts from the same ones.

    (Glorot & Bengio 2010.)
    """
    for variable in model.trainable_variables:
        if variable.ndim > 1 and not variable.path.startswith("term_"):
            *field, fan_in, fan_out = variable.shape
            far = np.sqrt(6 / (np.prod(field) * (fan_in + fan_out)))
            variable.assign(rng.uniform(-far, far, variable.shape))


def _mask(maps: list[keras.KerasTensor]) -> keras.KerasTensor:
    """A light decoder: at each level the enlarged coarser output plus the features of that
    level.
    """
    layers, decoded = keras.layers, None
    for number, (width, seen) in enumerate(zip(WIDTHS, maps, strict=True)):
        here = layers.Conv2D(width, 1, name=f"mask{number}_seen")(seen)
        if decoded is not None:
            larger = layers.UpSampling2D(2, interpolation="bilinear")(decoded)
            here += layers.Conv2D(width, 1, use_bias=False, name=f"mask{number}_coarser")(larger)
        spread = layers.SeparableConv2D(
            width, 3, padding="same", use_bias=False, name=f"mask{number}_spread"
        )
        normal = FusedNormalization(name=f"mask{number}_bn")
        decoded = layers.ReLU()(normal(spread(here)))
    return layers.Conv2D(1, 1, name="mask")(decoded)


def _context_terms(known: keras.KerasTensor) -> list[keras.KerasTensor]:
    """One bias-free linear term [n, k] for each field of the context."""
    terms, start = [], 0
    for field, width in zip(context.FIELDS, context.WIDTHS, strict=True):
        part = known[:, start : start + width]
        dense = keras.layers.Dense(
            CLASSES, use_bias=False, kernel_initializer="zeros", name=f"term_{field}"
        )
        terms.append(dense(part))
        start += width
    return terms


def load(file: Path) -> keras.Model:
    """Load a saved network. Here, so that our custom layer is registered when it is read."""
    return keras.saving.load_model(file, compile=False)


def start_from(model: keras.Model, file: Path | None) -> None:
    """Load the weights of a saved network (keras), or the backbone's ImageNet weights, from `file`
    (pth) or the installed package.

    Raises ValueError if there is no such file, or if it does not contain every variable.
    """
    if file and file.suffix == ".keras":
        try:
            model.set_weights(load(file).get_weights())
        except (ValueError, OSError) as error:
            raise ValueError(f"{file} cannot be started from: {error}") from None
    else:
        _start_from_imagenet(model, file or imagenet.installed())


def mean_with(model: keras.Model, other: keras.Model) -> None:
    """Set a network's weights to the mean of its own and another's: between a network and what it
    became may lie a better one (Wortsman et al. 2022, arXiv 2203.05482).
    """
    both = zip(model.get_weights(), other.get_weights(), strict=True)
    model.set_weights([(own + others) / 2 for own, others in both])


def _start_from_imagenet(model: keras.Model, file: Path) -> None:
    weights = imagenet.read(file)
    for layer in model.get_layer(backbone.NAME).layers:
        for variable in layer.variables:
            name = f"{layer.name}/{variable.name}"
            if name not in weights or weights[name].shape != tuple(variable.shape):
                raise ValueError(f"{file} is of another network: no {name} of {variable.shape}")
            variable.assign(weights[name])
