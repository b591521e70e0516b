"""Synthetic pictures for demonstrations and tests, marked as such in the picture.

A lesion is drawn the way light produces it: skin darkened by a pigment map (Beer-Lambert's law), so
that a denser spot turns brown, then black, as melanin does.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_SKIN = np.array([226.0, 184.0, 166.0])
_MELANIN = np.array([0.95, 1.4, 1.62])
"""How strongly pigment absorbs red, green and blue light."""
_BLOOD = np.array([0.05, 0.3, 0.22])

Map = npt.NDArray[np.float64]


def draw_lesion(
    *,
    seed: int = 0,
    radius: float = 0.22,
    dark_side: float = 0.0,
    bulge: float = 0.0,
    size: tuple[int, int] = (600, 450),
) -> Image.Image:
    """A pigmented lesion on skin, as seen through a dermatoscope.

    seed: the same seed gives the same lesion. radius: its radius as a share of the height.
    dark_side: how much darker the right half is, from 0. bulge: how far it protrudes to the right,
    in radii. size: width, height in pixels.
    """
    width, height = size
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / height
    x, y = x - width / height / 2, y - 0.5
    pigment = _pigment(random, x, y, radius, dark_side, bulge)
    blood = 0.4 + 0.1 * _clouds(random, x.shape, 0.16) + 0.05 * _clouds(random, x.shape, 0.02)
    light = np.exp(-pigment[..., None] * _MELANIN - blood.clip(0, 1)[..., None] * _BLOOD)
    grain = 1 + 0.02 * _clouds(random, x.shape, 0.006) + 0.012 * random.normal(size=x.shape)
    picture = _SKIN * light * (grain * _vignette(x, y, width / height))[..., None] * 1.08
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(height / 700))
    _mark(image)
    return image


def jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _pigment(
    random: np.random.Generator, x: Map, y: Map, radius: float, dark_side: float, bulge: float
) -> Map:
    """Melanin density: a soft, uneven disc with a network of lines and some globules."""
    angle = np.arctan2(y, x)
    wobble = sum(
        random.normal(0, 0.045) * np.cos(k * angle + random.uniform(0, 6.28)) for k in range(2, 6)
    )
    ragged = 0.06 * _clouds(random, x.shape, 0.03)
    reach = bulge * np.cos(angle).clip(0) ** 2
    depth = 1 + wobble + ragged + reach - np.hypot(x, y * 1.15) / radius
    inside = 1 / (1 + np.exp(-depth / 0.1))
    body = 0.3 + 0.35 * depth.clip(0, 1) + 0.1 * _clouds(random, x.shape, 0.05)
    network = 0.3 * _network(random, x, y)
    globules = 0.5 * _globules(random, x, y, radius)
    one_side = 1 / (1 + np.exp(-(x / radius - 0.25 + ragged) / 0.12))
    return inside * (body.clip(0.1, None) + network + globules + 1.1 * dark_side * one_side)


def _network(random: np.random.Generator, x: Map, y: Map, mesh: float = 0.019) -> Map:
    """0..1: the borders between cells scattered about every ``mesh`` of the height."""
    column, row = np.floor(x / mesh).astype(int), np.floor(y / mesh).astype(int)
    rows, columns = np.ptp(row) + 3, np.ptp(column) + 3
    jitter = random.uniform(0.15, 0.85, (rows, columns, 2))
    nearest = np.full(x.shape, np.inf)
    second = np.full(x.shape, np.inf)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            cell = jitter[row - row.min() + 1 + down, column - column.min() + 1 + right]
            centre_x = (column + right + cell[..., 0]) * mesh
            centre_y = (row + down + cell[..., 1]) * mesh
            distance = np.hypot(x - centre_x, y - centre_y)
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
    return np.exp(-(((second - nearest) / (0.3 * mesh)) ** 2))


def _globules(random: np.random.Generator, x: Map, y: Map, radius: float, count: int = 14) -> Map:
    """Small dark dots, at the same places in the lesion whatever its size."""
    dots = np.zeros_like(x)
    for _ in range(count):
        angle, share = random.uniform(0, 6.28), np.sqrt(random.uniform(0, 0.8))
        centre_x, centre_y = radius * share * np.cos(angle), radius * share * np.sin(angle)
        dots += np.exp(
            -((np.hypot(x - centre_x, y - centre_y) / random.uniform(0.006, 0.012)) ** 2)
        )
    return dots.clip(0, 1)


def _vignette(x: Map, y: Map, aspect: float) -> Map:
    """1 in the centre, falling off towards the corners, like a dermatoscope's light."""
    return 1 - 0.32 * (np.hypot(x, y) / np.hypot(aspect / 2, 0.5)) ** 4


def _clouds(random: np.random.Generator, shape: tuple[int, ...], grain: float) -> Map:
    """Smooth noise with a standard deviation of about 1. grain: its size as a share of the
    height.
    """
    height, width = shape
    step = max(1.0, grain * height)
    coarse = random.normal(size=(round(height / step) + 2, round(width / step) + 2))
    image = Image.fromarray(coarse.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.float64)


def _mark(image: Image.Image) -> None:
    font = ImageFont.load_default(size=max(14, image.height // 14))
    ImageDraw.Draw(image).text(
        (image.width / 2, image.height - image.height // 40),
        "SYNTHETIC",
        anchor="md",
        fill="white",
        stroke_fill=(40, 24, 20),
        stroke_width=max(1, image.height // 220),
        font=font,
    )
