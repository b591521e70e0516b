"""EfficientNet-Lite0's feature extractor, for training and for conversion to LiteRT.

Tan & Le 2019 (arXiv 1905.11946), in the form that Google published for phones: no squeeze and
excitation, and ReLU6 instead of swish, which keeps it fast on a CPU.
"""

from __future__ import annotations

import keras
from keras import KerasTensor

NAME = "efficientnet_lite0"

_STAGES = (
    # blocks, kernel, stride, expansion, width
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM = 32
FEATURES = 1280
_LAST_OF_A_SIZE = (0, 2, 4, 10)
"""The blocks after which the map is halved: their outputs are at 1/2, 1/4, 1/8 and 1/16."""


@keras.saving.register_keras_serializable("skincheck")
class FusedNormalization(keras.layers.BatchNormalization):
    """Batch normalization that trains with one fused kernel on TensorFlow, instead of the five
    operations of Keras.

    The same apart from rounding and the running variance, which is the unbiased one. A training
    step on a CPU takes less time.
    """

    def call(
        self, inputs: KerasTensor, training: bool | None = None, mask: KerasTensor | None = None
    ) -> KerasTensor:
        if not (training and self.trainable) or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma.value, self.beta.value, epsilon=self.epsilon, is_training=True
        )
        for kept, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept.assign(kept * self.momentum + seen * (1 - self.momentum))
        return outputs


def build() -> keras.Model:
    """[n, h, w, 3] in -1..1 to the feature maps at 1/32, 1/16, 1/8, 1/4 and 1/2 of the input, of
    1280, 112, 40, 24 and 16 channels."""
    pixels = keras.Input((None, None, 3))
    here = _convolved(pixels, "stem", _STEM, kernel=3, stride=2)
    maps: list[KerasTensor] = []
    width, number = _STEM, 0
    for blocks, kernel, stride, expansion, wide in _STAGES:
        for position in range(blocks):
            step = stride if position == 0 else 1
            block = _block(here, number, kernel, step, expansion * width, wide)
            here = keras.layers.Add()([here, block]) if position else block
            width = wide
            if number in _LAST_OF_A_SIZE:
                maps.insert(0, here)
            number += 1
    maps.insert(0, _convolved(here, "top", FEATURES))
    return keras.Model(pixels, maps, name=NAME)


def keep(model: keras.Model, blocks: int) -> None:
    """Freeze this many of the first blocks; 0 trains all layers."""
    names = ("stem", *(f"block{number}" for number in range(blocks))) if blocks else ()
    for layer in model.layers:
        layer.trainable = layer.name.split("_")[0] not in names


def _convolved(
    here: KerasTensor, name: str, width: int, kernel: int = 1, stride: int = 1
) -> KerasTensor:
    convolution = keras.layers.Conv2D(
        width, kernel, stride, padding="same", use_bias=False, name=name
    )
    return keras.layers.ReLU(6.0)(_normal(f"{name}_bn")(convolution(here)))


def _block(
    here: KerasTensor, number: int, kernel: int, stride: int, inner: int, wide: int
) -> KerasTensor:
    """Expand to `inner` channels, convolve each of them, and project down to `wide`."""
    name = f"block{number}"
    if inner != here.shape[-1]:
        expand = keras.layers.Conv2D(inner, 1, use_bias=False, name=f"{name}_expand")
        here = keras.layers.ReLU(6.0)(_normal(f"{name}_bn0")(expand(here)))
    depthwise = keras.layers.DepthwiseConv2D(
        kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )
    here = keras.layers.ReLU(6.0)(_normal(f"{name}_bn1")(depthwise(here)))
    project = keras.layers.Conv2D(wide, 1, use_bias=False, name=f"{name}_project")
    return _normal(f"{name}_bn2")(project(here))


def _normal(name: str) -> keras.layers.Layer:
    return FusedNormalization(epsilon=1e-3, name=name)
