"""Random views of a batch of frames: geometry, light, colour, optics. Pure TensorFlow ops."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ml.training import obstructions
from ml.training.data import FRAME

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def augment(
    frames: tf.Tensor, masks: tf.Tensor, inside: tf.Tensor, size: int, strength: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Random views of the frames, and the lesion masks as seen in them.

    inside [n]: 1 for dermatoscopy, 0 for other images. strength: how far light and colour vary, and
    how often light is exchanged and optical effects are added, at most 1. Geometry and sharpness do
    not depend on it. uint8 [n, *FRAME, 3] and bool [n, *FRAME] to float32 [n, size, size, 3] in
    0..255 and [n, size / 2, size / 2, 1] in 0..1.
    """
    layers = [tf.cast(frames, tf.float32) / 255.0, tf.cast(masks, tf.float32)[..., None]]
    warped = _warp(tf.concat(layers, axis=-1), size)
    views, masks = warped[..., :3], tf.nn.avg_pool2d(warped[..., 3:], 2, 2, "VALID")
    views = _exchange_light(views, inside, size, 0.7 * strength)
    views = _soften(views, size)
    views = _recolour(views, strength)
    views = _fade(views, 0.15 * strength)
    views = _vignette(views, size, 0.3 * strength)
    views = _patch(views, size, 0.2 * strength)
    views = _obstruct(views, size, 0.4 * strength)
    noise = tf.random.normal(tf.shape(views)) * _sometimes(views, 0.3 * strength, 0.0, 0.05)
    return tf.clip_by_value(views + noise, 0.0, 1.0) * 255.0, masks


def _uniform(views: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return tf.random.uniform((tf.shape(views)[0], 1, 1, 1), low, high)


def _sometimes(views: tf.Tensor, share: float, low: float, high: float) -> tf.Tensor:
    """[n, 1, 1, 1]: uniform between low and high for a share of the images, else 0."""
    chosen = tf.cast(_uniform(views, 0.0, 1.0) < share, tf.float32)
    return chosen * _uniform(views, low, high)


def _warp(frames: tf.Tensor, size: int) -> tf.Tensor:
    """A square crop of 0.65 to 1.05 of the short side, near the centre, at any angle, mirrored.

    Beyond the frame its mirror image continues. One bilinear resampling does everything.
    """
    count = tf.shape(frames)[0]

    def uniform(low: float, high: float) -> tf.Tensor:
        return tf.random.uniform((count,), low, high)

    height, width = FRAME
    side = height * uniform(0.65, 1.05)
    angle, stretch = uniform(0.0, 2 * np.pi), tf.exp(uniform(-0.08, 0.08))
    mirror = tf.sign(uniform(-1.0, 1.0))
    centre_x = (width - 1) / 2 + uniform(-1.0, 1.0) * tf.minimum((width - side) / 2, 0.19 * height)
    centre_y = (height - 1) / 2 + uniform(-1.0, 1.0) * tf.maximum(
        tf.minimum((height - side) / 2, 0.13 * height), 0.03 * height
    )
    step_x, step_y = side / size * stretch * mirror, side / size / stretch
    a, b = tf.cos(angle) * step_x, -tf.sin(angle) * step_y
    d, e = tf.sin(angle) * step_x, tf.cos(angle) * step_y
    middle, zero = (size - 1) / 2, tf.zeros((count,))
    c, f = centre_x - (a + b) * middle, centre_y - (d + e) * middle
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=frames,
        transforms=tf.stack([a, b, c, d, e, f, zero, zero], axis=1),
        output_shape=[size, size],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def _exchange_light(views: tf.Tensor, inside: tf.Tensor, size: int, share: float) -> tf.Tensor:
    """A share of the images in the light of another: its low-frequency amplitudes, mixed into their
    own.

    The Fourier amplitudes of low frequency hold a camera's colours, light and dark corners, the
    phases the structures. (Yang & Soatto 2020, arXiv 2004.05498; Xu et al. 2021, arXiv 2105.11120.)
    """
    spectrum = tf.signal.rfft2d(tf.transpose(views, (0, 3, 1, 2)))
    amplitude = tf.abs(spectrum)
    down = np.minimum(np.arange(size), size - np.arange(size))[:, None]
    frequency = np.hypot(down, np.arange(size // 2 + 1)[None]).astype(np.float32)
    coarse = tf.cast(frequency < tf.random.uniform((), 1.0, 8.0), tf.float32)
    both = inside * tf.roll(inside, 1, axis=0)
    weight = _sometimes(views, share, 0.2, 1.0) * both[:, None, None, None] * coarse
    gain = 1.0 + weight * (tf.roll(amplitude, 1, axis=0) / (amplitude + 1e-3) - 1.0)
    mixed = tf.signal.irfft2d(spectrum * tf.cast(gain, tf.complex64), (size, size))
    return tf.clip_by_value(tf.transpose(mixed, (0, 2, 3, 1)), 0.0, 1.0)


def _soften(views: tf.Tensor, size: int) -> tf.Tensor:
    """Blur or sharpen each image, so that sharpness carries no information.

    The resolution that it is blurred to is the same for the whole batch.
    """
    low = tf.cast(size * tf.random.uniform((), 0.35, 0.85), tf.int32)
    soft = tf.image.resize(tf.image.resize(views, (low, low), "area"), (size, size))
    return views + _sometimes(views, 0.75, -0.5, 1.0) * (soft - views)


def _recolour(views: tf.Tensor, far: float) -> tf.Tensor:
    """Gamma, white balance, saturation, hue, contrast and brightness."""
    count = tf.shape(views)[0]
    gamma = tf.exp(far * _uniform(views, -0.3, 0.3))
    views = tf.pow(tf.maximum(views, 1e-4), gamma)
    hue = far * tf.random.uniform((count,), -0.15, 0.15)
    saturation = tf.exp(far * tf.random.uniform((count,), -0.5, 0.4))
    zero, one = tf.zeros((count,)), tf.ones((count,))
    cos, sin = saturation * tf.cos(hue), saturation * tf.sin(hue)
    turn = tf.reshape(
        tf.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1), (count, 3, 3)
    )
    back, to_yiq = np.linalg.inv(_TO_YIQ).astype(np.float32), _TO_YIQ.astype(np.float32)
    gain = tf.exp(tf.random.normal((count, 1, 3), stddev=0.07 * far))
    matrix = tf.linalg.matrix_transpose(back @ turn @ to_yiq) * gain
    flat = tf.reshape(views, (count, -1, 3)) @ matrix
    views = tf.reshape(flat, tf.shape(views))
    mean = tf.reduce_mean(views, axis=(1, 2, 3), keepdims=True)
    contrast = tf.exp(far * _uniform(views, -0.28, 0.26))
    brightness = far * _uniform(views, -0.12, 0.12)
    return (views - mean) * contrast + mean + brightness


def _fade(views: tf.Tensor, share: float) -> tf.Tensor:
    """Drained of colour, pale, or dark: each for a share of the images. Haze, little light and grey
    cameras take contrast and colour away, not the diagnosis.
    """
    grey = tf.reduce_sum(views * _TO_YIQ[0].astype(np.float32), axis=-1, keepdims=True)
    views += _sometimes(views, share, 0.3, 1.0) * (grey - views)
    views += _sometimes(views, share, 0.2, 0.6) * (1.0 - views)
    return views * (1.0 - _sometimes(views, share, 0.2, 0.6))


def _vignette(views: tf.Tensor, size: int, share: float) -> tf.Tensor:
    """The round dark border of many dermatoscopes, for a share of the images."""
    axis = (tf.range(size, dtype=tf.float32) + 0.5) / size - 0.5
    x = axis[None, None, :, None] - _uniform(views, -0.08, 0.08)
    y = axis[None, :, None, None] - _uniform(views, -0.08, 0.08)
    radius, softness = _uniform(views, 0.42, 0.72), _uniform(views, 0.005, 0.1)
    shadow = tf.sigmoid((tf.sqrt(x * x + y * y) - radius) / softness)
    strength = _sometimes(views, share, 0.6, 1.0)
    return views + strength * shadow * (_uniform(views, 0.0, 0.12) - views)


def _patch(views: tf.Tensor, size: int, share: float) -> tf.Tensor:
    """A plain coloured rectangle on a share of the images, so that patches carry no information."""
    axis = (tf.range(size, dtype=tf.float32) + 0.5) / size
    x, y = axis[None, None, :, None], axis[None, :, None, None]
    wide, high = _uniform(views, 0.08, 0.35), _uniform(views, 0.08, 0.35)
    left, top = _uniform(views, -0.1, 1.0), _uniform(views, -0.1, 1.0)
    inside = (x > left) & (x < left + wide) & (y > top) & (y < top + high)
    there = tf.cast(inside, tf.float32) * _sometimes(views, share, 1.0, 1.0)
    colour = tf.random.uniform((tf.shape(views)[0], 1, 1, 3))
    return views + there * (colour - views)


def _obstruct(views: tf.Tensor, size: int, share: float) -> tf.Tensor:
    """Hairs, ruler marks or bubbles over a share of the images, in any pose."""
    drawn = tf.constant(obstructions.layers())
    chosen = tf.random.uniform((tf.shape(views)[0],), 0, len(drawn), tf.int32)
    layers = tf.cast(tf.gather(drawn, chosen), tf.float32) / 255.0
    layers = tf.image.random_flip_left_right(tf.image.random_flip_up_down(layers))
    layers = tf.image.resize(layers, (size, size))
    opacity = layers[..., 3:] * _sometimes(views, share, 0.6, 1.0)
    return views + opacity * (layers[..., :3] - views)
