"""Weights that float16 holds exactly, so that a file of half the size loses nothing."""

from __future__ import annotations

import keras
import numpy as np

from ml import calibrate
from ml.training.backbone import NAME, FusedNormalization


def halve(model: keras.Model) -> None:
    """Round the network's weights to float16, in place.

    LiteRT multiplies each kernel by the factor of the normalization after it, then rounds. So the
    kernel is multiplied here, and its rounding there changes nothing. A power of two of the factor
    stays in the normalization: training can go on from weights of nearly the same scale.
    """
    layers = [*model.get_layer(NAME).layers, *model.layers]
    for layer in layers:
        if isinstance(layer, FusedNormalization):
            _move_factor(layer)
    for layer in layers:
        if layer.name != NAME and not isinstance(layer, FusedNormalization):
            layer.set_weights([_rounded(weights) for weights in layer.get_weights()])
    scale = model.get_layer("scale")  # its factor is in the file as well, in float16
    scale.scale = float(np.float16(scale.scale))


def _move_factor(normal: FusedNormalization) -> None:
    """Into the kernel before it, and round what is then added to its output."""
    layer = normal.input._keras_history.operation
    *others, kernel = layer.get_weights()
    gamma, beta, mean, variance = normal.get_weights()
    factor = gamma / np.sqrt(variance + normal.epsilon)
    power = np.frexp(factor * np.sqrt(2))[1] - 1  # log2, rounded
    moved = np.ldexp(factor, -power)
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    layer.set_weights([*others, kernel * (moved[:, None] if depthwise else moved)])
    mean, variance = mean * moved, variance * moved**2
    gamma = np.ldexp(np.sqrt(variance + normal.epsilon), power)
    shift = np.ldexp(mean, power)
    normal.set_weights([gamma, _rounded(beta - shift) + shift, mean, variance])


def _rounded(values: calibrate.Floats) -> calibrate.Floats:
    return values.astype(np.float16).astype(np.float32)
