"""The Keras network: MobileNet v1 features, a linear head, additive context, a gate."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from ml import context
from ml.types import Diagnosis

CLASSES = len(Diagnosis)
BACKBONE = "mobilenet"


def build(dropout: float = 0.2) -> keras.Model:
    """pixels [n, h, w, 3] (0..255) and context [n, context.WIDTH] to a dict of four outputs.

    With F [h/32, w/32, 1024] the last feature map:
    image_logits [n, 7] = bias + mean(F) . W: linear, so W . F[y, x] is a class's evidence there.
    context_terms [n, 3, 7]: what age, sex and localization add; a missing one adds exactly zero.
    logits [n, 7] = image_logits + the sum of context_terms: the balanced reading.
    in_distribution [n, 1]: logit of "this is a dermatoscopic image".
    """
    pixels = keras.Input((None, None, 3), name="pixels")
    known = keras.Input((context.WIDTH,), name="context")
    backbone = keras.applications.MobileNet(
        input_shape=(None, None, 3), include_top=False, weights=None, name=BACKBONE
    )
    features = backbone(keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pixels))
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(features)
    evidence = keras.layers.Dropout(dropout, name="dropout")(pooled)
    image_logits = keras.layers.Dense(CLASSES, name="image_logits")(evidence)
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
        "in_distribution": gate,
    }
    return keras.Model({"pixels": pixels, "context": known}, outputs, name="skincheck")


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
