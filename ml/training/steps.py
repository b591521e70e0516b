"""A step of gradient descent on each of Keras' backends: the only code that depends on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

Batch = dict[str, npt.NDArray[np.float32]]
Losses = list[Any]
"""Scalars of the backend: the first is minimised, the others are reported."""
Step = Callable[[Batch], Losses]


def compiled(
    losses: Callable[[Batch], Losses],
    learning: list[keras.Variable],
    state: list[keras.Variable],
    optimizer: keras.Optimizer,
) -> Step:
    """One step on a batch, as a function that returns its losses.

    learning: the variables to train; state: all that the losses or the optimizer use or change.
    """
    if keras.backend.backend() == "jax":
        return _jax(losses, learning, state, optimizer)
    kinds = {"tensorflow": _tensorflow, "torch": _torch}
    return kinds[keras.backend.backend()](losses, learning, optimizer)


def _tensorflow(
    losses: Callable[[Batch], Losses], learning: list[keras.Variable], optimizer: keras.Optimizer
) -> Step:
    import tensorflow as tf

    @tf.function
    def step(batch: Batch) -> Losses:
        with tf.GradientTape() as tape:
            found = losses(batch)
        optimizer.apply(tape.gradient(found[0], learning), learning)
        return found

    return step


def _torch(
    losses: Callable[[Batch], Losses], learning: list[keras.Variable], optimizer: keras.Optimizer
) -> Step:
    import torch

    def step(batch: Batch) -> Losses:
        found = losses(keras.tree.map_structure(keras.ops.convert_to_tensor, batch))
        gradients = torch.autograd.grad(found[0], [variable.value for variable in learning])
        with torch.no_grad():
            optimizer.apply(gradients, learning)
        return [loss.detach() for loss in found]

    return step


def _jax(
    losses: Callable[[Batch], Losses],
    learning: list[keras.Variable],
    state: list[keras.Variable],
    optimizer: keras.Optimizer,
) -> Step:
    import jax

    def differentiable(learnt: list[Any], values: list[Any], batch: Batch) -> tuple[Any, Any]:
        mapping = [*zip(state, values, strict=True), *zip(learning, learnt, strict=True)]
        with keras.StatelessScope(mapping) as scope:
            found = losses(batch)
        return found[0], (found, [scope.get_current_value(variable) for variable in state])

    @jax.jit
    def pure(learnt: list[Any], values: list[Any], batch: Batch) -> tuple[Losses, list[Any]]:
        slope = jax.grad(differentiable, has_aux=True)
        gradients, (found, values) = slope(learnt, values, batch)
        with keras.StatelessScope(zip(state, values, strict=True)) as scope:
            optimizer.apply(gradients, learning)
        return found, [scope.get_current_value(variable) for variable in state]

    def step(batch: Batch) -> Losses:
        learnt, values = ([one.value for one in variables] for variables in (learning, state))
        found, values = pure(learnt, values, batch)
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        return found

    return step
