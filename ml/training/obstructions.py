"""Drawn obstructions of the kind found in real pictures: hairs, ruler marks, bubbles in the gel.

Augmentation adds them to views, so that none becomes associated with a diagnosis.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

SIDE = 192
EACH = 64
_SCALE = 2  # drawn larger and reduced, for smooth lines


@lru_cache
def layers() -> npt.NDArray[np.uint8]:
    """RGBA [3 * EACH, SIDE, SIDE, 4], the same in every run; opacity last, each with its own
    colours.
    """
    rng = np.random.default_rng(23)
    return np.stack([draw(rng) for draw in (_hairs, _ruler, _bubbles) for _ in range(EACH)])


def _canvas(colour: tuple[int, ...]) -> Image.Image:
    return Image.new("RGBA", (SIDE * _SCALE, SIDE * _SCALE), (*colour, 0))


def _reduced(image: Image.Image, blur: float = 0.0) -> npt.NDArray[np.uint8]:
    softened = image.filter(ImageFilter.GaussianBlur(blur)) if blur else image
    return np.asarray(softened.resize((SIDE, SIDE), Image.Resampling.BOX))


def _hairs(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A few to many curved hairs of one person's colour, lying roughly in one direction."""
    shade = rng.uniform(10, 90) if rng.random() < 0.85 else rng.uniform(150, 215)
    colour = tuple(int(value) for value in shade * np.array([1.0, 0.85, 0.7]))
    image = _canvas(colour)
    draw, side = ImageDraw.Draw(image), SIDE * _SCALE
    lie = rng.uniform(0, 2 * np.pi)
    for _ in range(rng.integers(3, 22)):
        start = rng.uniform(-0.1 * side, 1.1 * side, 2)
        along = lie + rng.normal(0, 0.5)
        reach = rng.uniform(0.25, 0.9) * side
        end = start + reach * np.array([np.cos(along), np.sin(along)])
        middle = (start + end) / 2 + rng.normal(0, 0.12 * reach, 2)
        steps = np.linspace(0, 1, 24)[:, None]
        curve = (1 - steps) ** 2 * start + 2 * steps * (1 - steps) * middle + steps**2 * end
        opacity = int(rng.uniform(110, 235))
        points = [(float(x), float(y)) for x, y in curve]
        draw.line(points, fill=(*colour, opacity), width=int(rng.integers(1, 5)), joint="curve")
    return _reduced(image)


def _ruler(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Marks at even steps along one side, every fifth or tenth one longer."""
    dark = rng.random() < 0.75
    colour = (20, 20, 25) if dark else (235, 235, 240)
    image = _canvas(colour)
    draw, side = ImageDraw.Draw(image), SIDE * _SCALE
    step, width = rng.uniform(12, 48), int(rng.integers(1, 5))
    offset, length = rng.uniform(0.0, 0.25) * side, rng.uniform(0.03, 0.08) * side
    for number, x in enumerate(np.arange(rng.uniform(0, step), side, step)):
        reach = length * (1.8 if number % 5 == 0 else 1.0)
        draw.line([(x, offset), (x, offset + reach)], fill=(*colour, 220), width=width)
    if rng.random() < 0.5:
        draw.line([(0, offset), (side, offset)], fill=(*colour, 220), width=width)
    turned = image.rotate(
        float(rng.choice([0, 90, 180, 270]) + rng.normal(0, 4)), fillcolor=(*colour, 0)
    )
    return _reduced(turned)


def _bubbles(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Round bubbles: a dark rim, a bright one inside it, a highlight."""
    image = _canvas((255, 255, 255))
    draw, side = ImageDraw.Draw(image), SIDE * _SCALE
    for _ in range(rng.integers(2, 14)):
        x, y = rng.uniform(0, side, 2)
        radius = rng.uniform(0.01, 0.09) * side
        for grow, rim in ((1.0, (40, 30, 30, 110)), (0.9, (255, 250, 245, 120))):
            box = [x - grow * radius, y - grow * radius, x + grow * radius, y + grow * radius]
            draw.ellipse(box, outline=rim, width=max(1, int(0.12 * radius)))
        spot, lit = 0.22 * radius, radius * 0.45
        draw.ellipse(
            [x - lit - spot, y - lit - spot, x - lit + spot, y - lit + spot],
            fill=(255, 255, 255, 235),
        )
    return _reduced(image, blur=0.6)
