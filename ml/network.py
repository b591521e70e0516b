"""The Keras network: MobileNet v1 features, a linear head, additive context, a gate, a mask."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ml import context
from ml.types import Diagnosis

CLASSES = len(Diagnosis)
BACKBONE = "mobilenet"
# Where the decoder looks: feature maps at 1/32, 1/16, 1/8, 1/4 and 1/2 of the input, and how wide
# it is there.
LEVELS = (
    ("conv_pw_13_relu", 128),
    ("conv_pw_11_relu", 96),
    ("conv_pw_5_relu", 64),
    ("conv_pw_3_relu", 48),
    ("conv_pw_1_relu", 32),
)


@keras.saving.register_keras_serializable("skincheck")
class Bias(keras.layers.Layer):
    """Adds one learnt number to each feature."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.bias = self.add_weight(shape=input_shape[-1:], initializer="zeros", name="bias")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return inputs + self.bias


@keras.saving.register_keras_serializable("skincheck")
class FusedNormalization(keras.layers.BatchNormalization):
    """Batch normalization that learns by TensorFlow's one kernel for it, not by Keras' five.

    The same but for rounding and for the running variance, which is the unbiased one. A training
    step on a CPU takes less time for it.
    """

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma.value, self.beta.value, epsilon=self.epsilon, is_training=True
        )
        for kept, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept.assign(kept * self.momentum + seen * (1 - self.momentum))
        return outputs


def build(dropout: float = 0.2) -> keras.Model:
    """pixels [n, h, w, 3] (0..255) and context [n, context.WIDTH] to a dict of seven outputs.

    With F [h/32, w/32, 1024] the last feature map:
    evidence [n, h/32, w/32, 7] = F . W: what each place says for each class.
    image_logits [n, 7] = bias + the mean of the evidence over all places.
    context_terms [n, 3, 7]: what age, sex and localization add; a missing one adds exactly zero.
    logits [n, 7] = image_logits + the sum of context_terms: the balanced reading.
    features [n, 1024] = the mean of F over all places.
    in_distribution [n, 1]: logit of "this is a dermatoscopic image".
    mask [n, h/2, w/2, 1]: logit of "this place belongs to the lesion".
    """
    pixels = keras.Input((None, None, 3), name="pixels")
    known = keras.Input((context.WIDTH,), name="context")
    maps = _backbone()(keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pixels))
    # Whole channels are dropped, so that the mean of the evidence is the evidence of the mean.
    kept = keras.layers.SpatialDropout2D(dropout, name="dropout")(maps[0])
    evidence = keras.layers.Dense(CLASSES, use_bias=False, name="evidence")(kept)
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
    return keras.Model({"pixels": pixels, "context": known}, outputs, name="skincheck")


def _backbone() -> keras.Model:
    """MobileNet v1 without its top, giving the feature maps of LEVELS."""
    whole = keras.applications.MobileNet(
        input_shape=(None, None, 3), include_top=False, weights=None
    )
    whole = keras.models.clone_model(whole, clone_function=_fused)
    maps = [whole.get_layer(name).output for name, _ in LEVELS]
    return keras.Model(whole.input, maps, name=BACKBONE)


def _fused(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A new layer like this one, with fused normalization."""
    normalizes = isinstance(layer, keras.layers.BatchNormalization)
    kind = FusedNormalization if normalizes else type(layer)
    return kind.from_config(layer.get_config())


def _mask(maps: list[keras.KerasTensor]) -> keras.KerasTensor:
    """A light decoder: at each level the coarser answer, enlarged, plus what is seen there.

    Its layers are named so that a later network finds an earlier one's weights.
    """
    layers, decoded = keras.layers, None
    names = ["", *(f"_{number}" for number in range(1, len(LEVELS)))]
    for number, ((level, width), seen) in enumerate(zip(LEVELS, maps, strict=True)):
        here = layers.Conv2D(width, 1, name=f"mask_{level}")(seen)
        if decoded is not None:
            larger = layers.UpSampling2D(2, interpolation="bilinear")(decoded)
            linear = layers.Conv2D(width, 1, use_bias=False, name=f"conv2d{names[number - 1]}")
            here = here + linear(larger)
        name = names[number]
        spread = layers.SeparableConv2D(
            width, 3, padding="same", use_bias=False, name=f"separable_conv2d{name}"
        )
        normal = FusedNormalization(name=f"batch_normalization{name}")
        decoded = layers.ReLU()(normal(spread(here)))
    return layers.Conv2D(1, 1, name="mask")(decoded)


def _context_terms(known: keras.KerasTensor) -> list[keras.KerasTensor]:
    """One bias-free linear term [n, 7] for each field of the context."""
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
    """A saved network. Here, so that the layer which is ours is known when it is read."""
    return keras.saving.load_model(file, compile=False)


def start_from_network(model: keras.Model, trained: Path) -> list[str]:
    """Take over what another run learned; returns the names of the layers left fresh.

    Layers are matched by name and shapes; a head that had kernel and bias in one is taken apart.
    """
    older = load(trained)
    known = {layer.name: layer.get_weights() for layer in older.layers if layer.weights}
    if "evidence" not in known:
        kernel, bias = known["image_logits"]
        known["evidence"], known["image_logits"] = [kernel], [bias]
    fresh = []
    for layer in (layer for layer in model.layers if layer.weights):
        weights = known.get(layer.name, [])
        if [one.shape for one in weights] == [tuple(one.shape) for one in layer.weights]:
            layer.set_weights(weights)
        else:
            fresh.append(layer.name)
    return fresh


def start_from_imagenet(model: keras.Model, weights: Path | None) -> list[str]:
    """Load the backbone's ImageNet weights; returns the names of the variables left fresh.

    weights: an npz of arrays named `layer/variable`, or None for Keras' own download.
    Raises ValueError if the archive fits the backbone nowhere.
    """
    backbone = model.get_layer(BACKBONE)
    if weights is None:
        whole = keras.applications.MobileNet(
            input_shape=(224, 224, 3), include_top=False, weights="imagenet"
        )
        backbone.set_weights(whole.get_weights())
        return []
    fresh, loaded = [], 0
    with np.load(weights) as arrays:
        for layer in backbone.layers:
            for variable in layer.variables:
                name = f"{layer.name}/{variable.name}"
                if isinstance(layer, keras.layers.DepthwiseConv2D):
                    name = name.replace("/kernel", "/depthwise_kernel")
                if name in arrays and arrays[name].shape == tuple(variable.shape):
                    variable.assign(arrays[name])
                    loaded += 1
                else:
                    fresh.append(name)
    if not loaded:
        raise ValueError(f"{weights} holds no weights of MobileNet v1")
    return fresh


def freeze(model: keras.Model, until: str) -> None:
    """Keep the backbone's layers up to the named one as they are; raises ValueError without it."""
    layers = model.get_layer(BACKBONE).layers
    names = [layer.name for layer in layers]
    if until not in names:
        raise ValueError(f"the backbone has no layer {until!r}: it has {', '.join(names)}")
    for layer in layers[: names.index(until) + 1]:
        layer.trainable = False
