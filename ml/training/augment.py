"""Random views of a batch of frames: geometry, light, colour, optics.

NumPy and OpenCV, so that every backend trains on the same views.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from ml.training import obstructions
from ml.training.data import FRAME

Floats = npt.NDArray[np.float32]
Rng = np.random.Generator

SMALL = 32
"""The side of a view's copy that shows its light and colours, and none of its structures."""
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_GREY = _TO_YIQ[0].astype(np.float32)


def augment(
    frames: npt.NDArray[np.uint8],
    masks: npt.NDArray[np.bool_],
    inside: Floats,
    size: int,
    strength: float,
    rng: Rng,
) -> tuple[Floats, Floats]:
    """Random views of the frames, and the lesion masks as seen in them.

    inside [n]: 1 for dermatoscopy, 0 for other images. strength: how far light and colour vary, and
    how often light is exchanged and optical effects are added, at most 1. Geometry and sharpness do
    not depend on it. uint8 [n, *FRAME, 3] and bool [n, *FRAME] to float32 [n, size, size, 3] in
    0..255 and [n, size / 2, size / 2, 1] in 0..1.
    """
    views = np.empty((len(frames), size, size, 3), np.float32)
    shapes = np.empty((len(frames), size // 2, size // 2, 1), np.float32)
    for number, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
        views[number], shapes[number, ..., 0] = _warp(frame, mask, size, rng)
    views = _exchange_light(views, inside, 0.7 * strength, rng)
    for number, view in enumerate(views):
        view = _soften(view, rng)
        view = _recolour(view, strength, rng)
        view = _fade(view, 0.15 * strength, rng)
        view = _vignette(view, 0.3 * strength, rng)
        view = _patch(view, 0.2 * strength, rng)
        view = _obstruct(view, 0.4 * strength, rng)
        view = _add_noise(view, 0.3 * strength, rng)
        views[number] = 255 * np.clip(view, 0, 1)
    return views, shapes


def _sometimes(share: float, low: float, high: float, rng: Rng) -> float:
    """Uniform between low and high for a share of the images, else 0."""
    return rng.uniform(low, high) if rng.random() < share else 0.0


def _warp(
    frame: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_], size: int, rng: Rng
) -> tuple[Floats, Floats]:
    """A square crop of 0.65 to 1.05 of the short side, near the centre, at any angle, mirrored; in
    0..1. The mask is half as large.

    Beyond the frame its mirror image continues. One bilinear resampling does everything.
    """
    height, width = FRAME
    side = height * rng.uniform(0.65, 1.05)
    angle, stretch = rng.uniform(0, 2 * np.pi), math.exp(rng.uniform(-0.08, 0.08))
    far_x = min((width - side) / 2, 0.19 * height)
    far_y = max(min((height - side) / 2, 0.13 * height), 0.03 * height)
    centre = np.array([width - 1, height - 1]) / 2 + rng.uniform(-1, 1, 2) * [far_x, far_y]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn *= side / size * np.array([stretch * rng.choice([-1, 1]), 1 / stretch])
    start = centre - turn.sum(axis=1) * (size - 1) / 2
    place = np.column_stack([turn, start])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view, shape = (
        cv2.warpAffine(seen, place, (size, size), flags=how, borderMode=cv2.BORDER_REFLECT)
        for seen in (frame, 255 * mask.astype(np.uint8))
    )
    shape = cv2.resize(shape, (size // 2, size // 2), interpolation=cv2.INTER_AREA)
    return view * np.float32(1 / 255), shape * np.float32(1 / 255)


def _exchange_light(views: Floats, inside: Floats, share: float, rng: Rng) -> Floats:
    """A share of the images in the light of another: its low-frequency amplitudes, mixed into their
    own.

    The Fourier amplitudes of low frequency hold a camera's colours, light and dark corners, the
    phases the structures. (Yang & Soatto 2020, arXiv 2004.05498; Xu et al. 2021, arXiv 2105.11120.)
    Low frequencies are all there in small copies, so only these are transformed.
    """
    count, size = len(views), views.shape[1]
    small = [cv2.resize(view, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for view in views]
    spectrum = np.fft.rfft2(np.stack(small), axes=(1, 2))
    amplitude = np.abs(spectrum)
    across = np.arange(SMALL // 2 + 1)
    down = np.minimum(np.arange(SMALL), SMALL - np.arange(SMALL))[:, None]
    coarse = np.hypot(down, across) < rng.uniform(1, 8)
    gain = coarse[..., None] * (np.roll(amplitude, 1, axis=0) / (amplitude + 1e-3) - 1)
    changes = np.fft.irfft2(spectrum * gain, (SMALL, SMALL), axes=(1, 2))
    mixed = views.copy()
    for number in np.flatnonzero((rng.random(count) < share) & (inside * np.roll(inside, 1) > 0)):
        change = cv2.resize(changes[number], (size, size), interpolation=cv2.INTER_CUBIC)
        mixed[number] += rng.uniform(0.2, 1.0) * change
    return np.clip(mixed, 0, 1)


def _soften(view: Floats, rng: Rng) -> Floats:
    """Blur or sharpen, so that sharpness carries no information."""
    size = len(view)
    low = int(size * rng.uniform(0.35, 0.85))
    amount = _sometimes(0.75, -0.5, 1.0, rng)
    coarse = cv2.resize(view, (low, low), interpolation=cv2.INTER_AREA)
    soft = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    return cv2.addWeighted(view, 1 - amount, soft, amount, 0)


def _recolour(view: Floats, far: float, rng: Rng) -> Floats:
    """Gamma, white balance, saturation, hue, contrast and brightness."""
    view = cv2.pow(np.maximum(view, 1e-4), math.exp(far * rng.uniform(-0.3, 0.3)))
    hue, saturation = far * rng.uniform(-0.15, 0.15), math.exp(far * rng.uniform(-0.5, 0.4))
    cos, sin = saturation * math.cos(hue), saturation * math.sin(hue)
    turn = np.linalg.inv(_TO_YIQ) @ [[1, 0, 0], [0, cos, -sin], [0, sin, cos]] @ _TO_YIQ
    view = cv2.transform(view, np.exp(rng.normal(0, 0.07 * far, (3, 1))) * turn)
    contrast = math.exp(far * rng.uniform(-0.28, 0.26))
    brightness = far * rng.uniform(-0.12, 0.12)
    return view * contrast + ((1 - contrast) * view.mean() + np.float32(brightness))


def _fade(view: Floats, share: float, rng: Rng) -> Floats:
    """Drained of colour, pale, or dark: each for a share of the images. Haze, little light and grey
    cameras take contrast and colour away, not the diagnosis.
    """
    if drained := _sometimes(share, 0.3, 1.0, rng):
        view = view + drained * ((view @ _GREY)[..., None] - view)
    if pale := _sometimes(share, 0.2, 0.6, rng):
        view = view + pale * (1 - view)
    return view * (1 - _sometimes(share, 0.2, 0.6, rng))


def _vignette(view: Floats, share: float, rng: Rng) -> Floats:
    """The round dark border of many dermatoscopes, for a share of the images."""
    strength = _sometimes(share, 0.6, 1.0, rng)
    if not strength:
        return view
    axis = (np.arange(len(view), dtype=np.float32) + 0.5) / len(view) - 0.5
    x, y = axis - rng.uniform(-0.08, 0.08), axis[:, None] - rng.uniform(-0.08, 0.08)
    radius, softness = rng.uniform(0.42, 0.72), rng.uniform(0.005, 0.1)
    shadow = 0.5 + 0.5 * np.tanh((np.hypot(x, y) - radius) / (2 * softness))
    return view + strength * shadow[..., None] * (rng.uniform(0, 0.12) - view)


def _patch(view: Floats, share: float, rng: Rng) -> Floats:
    """A plain coloured rectangle on a share of the images, so that patches carry no information."""
    if rng.random() < share:
        high, wide = rng.uniform(0.08, 0.35, 2)
        top, left = rng.uniform(-0.1, 1.0, 2)
        edges = np.array([top, top + high, left, left + wide]) * len(view)
        top, bottom, left, right = np.maximum(edges.round(), 0).astype(int)
        view[top:bottom, left:right] = rng.random(3)
    return view


def _obstruct(view: Floats, share: float, rng: Rng) -> Floats:
    """Hairs, ruler marks or bubbles over a share of the images, in any pose."""
    strength = _sometimes(share, 0.6, 1.0, rng)
    if not strength:
        return view
    drawn = rng.choice(obstructions.layers())[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    size = view.shape[:2]
    layer = cv2.resize(np.ascontiguousarray(drawn), size).astype(np.float32) / 255
    return view + strength * layer[..., 3:] * (layer[..., :3] - view)


def _add_noise(view: Floats, share: float, rng: Rng) -> Floats:
    if amount := _sometimes(share, 0.0, 0.05, rng):
        return view + amount * rng.standard_normal(view.shape, np.float32)
    return view
