"""Images other than dermatoscopy: natural images from a folder, and pictures drawn in code.

The gate learns from these. Some natural images and whole kinds of drawn pictures are held out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from ml import context
from ml.training.data import FRAME, Examples, Source
from ml.types import PatientContext

Pixels = npt.NDArray[np.uint8]
HEIGHT, WIDTH = FRAME
HELD_OUT_SHARE = 0.2


def natural(folder: Path, held_out: bool) -> Pixels:
    """[n, *FRAME, 3]: the folder's images, centre-cropped; a fixed fifth of them is held out."""
    files = sorted(
        folder.glob("*.jpg"), key=lambda file: hashlib.sha256(file.name.encode()).digest()
    )
    first = round(len(files) * HELD_OUT_SHARE)
    return np.stack([_cover(file) for file in (files[:first] if held_out else files[first:])])


def _cover(file: Path) -> Pixels:
    with Image.open(file) as image:
        scale = max(WIDTH / image.width, HEIGHT / image.height)
        size = (max(WIDTH, round(image.width * scale)), max(HEIGHT, round(image.height * scale)))
        resized = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    left, top = (size[0] - WIDTH) // 2, (size[1] - HEIGHT) // 2
    return np.asarray(resized.crop((left, top, left + WIDTH, top + HEIGHT)))


def in_colours_of(pixels: Pixels, models: Pixels, seed: int) -> Pixels:
    """Each image with the channel means and deviations of a random model image.

    This keeps the gate from relying on colour alone. (The transfer of Reinhard 2001, in RGB.)
    """
    rng = np.random.default_rng(seed)
    recoloured = np.empty_like(pixels)
    for number, image in enumerate(pixels):
        model = models[rng.integers(len(models))].astype(np.float32)
        own = image.astype(np.float32)
        normal = (own - own.mean((0, 1))) / (own.std((0, 1)) + 1.0)
        values = normal * model.std((0, 1)) * rng.uniform(0.8, 2.5) + model.mean((0, 1))
        recoloured[number] = np.clip(values, 0, 255).astype(np.uint8)
    return recoloured


def drawn(kinds: dict[str, Callable[..., Image.Image]], each: int, seed: int) -> Pixels:
    """[len(kinds) * each, *FRAME, 3]: drawn pictures, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return np.stack([np.asarray(draw(rng)) for draw in kinds.values() for _ in range(each)])


def as_examples(pixels: Pixels, kind: str = "") -> Examples:
    """The same images as examples without diagnosis or patient context."""
    count = len(pixels)
    return Examples(
        pixels,
        np.zeros((count, context.WIDTH), np.float32),
        np.full(count, -1),
        np.full(count, int(Source.OUTSIDE)),
        np.array([f"outside_{number}" for number in range(count)]),
        np.array([f"outside_{number}" for number in range(count)]),
        (PatientContext(),) * count,
        np.zeros((count, *FRAME), np.bool_),
        np.zeros(count, np.bool_),
        np.full(count, kind),
        np.full(count, -1),
    )


def _skin(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A skin colour, from light to dark, RGB 0..255."""
    light, dark = np.array([240.0, 205.0, 185.0]), np.array([75.0, 45.0, 35.0])
    skin: npt.NDArray[np.float64] = light + (dark - light) * rng.uniform() + rng.normal(0, 8, 3)
    return skin


def _image(values: npt.NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _colour(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(0, 256, 3))


def _ramp(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """[*FRAME, 1] from 0 to 1 in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    along = np.cos(angle) * columns + np.sin(angle) * rows
    ramp: npt.NDArray[np.float64] = (along - along.min()) / np.ptp(along)
    return ramp[..., None]


def draw_noise(rng: np.random.Generator) -> Image.Image:
    """Noise about a colour, of any grain."""
    grain = int(rng.choice([1, 2, 5, 12, 30]))
    size = (HEIGHT // grain + 1, WIDTH // grain + 1, 3)
    image = _image(np.array(_colour(rng)) + rng.normal(0, rng.uniform(10, 80), size))
    return image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def draw_gradient(rng: np.random.Generator) -> Image.Image:
    """One colour fading into another."""
    first, second = np.array(_colour(rng)), np.array(_colour(rng))
    return _image(first + (second - first) * _ramp(rng))


def draw_plain(rng: np.random.Generator) -> Image.Image:
    """Black, white or one colour, nearly without structure."""
    colours: list[tuple[int, ...]] = [(0, 0, 0), (255, 255, 255), _colour(rng)]
    colour = np.array(colours[rng.integers(3)])
    return _image(colour + rng.normal(0, rng.uniform(0, 3), (HEIGHT, WIDTH, 3)))


def draw_shapes(rng: np.random.Generator) -> Image.Image:
    """Coloured rectangles, ellipses and lines."""
    image = Image.new("RGB", (WIDTH, HEIGHT), _colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(3, 15)):
        x, y = sorted(rng.integers(0, WIDTH, 2)), sorted(rng.integers(0, HEIGHT, 2))
        box = [int(x[0]), int(y[0]), int(x[1]), int(y[1])]
        kind = rng.integers(3)
        if kind == 0:
            draw.rectangle(box, fill=_colour(rng))
        elif kind == 1:
            draw.ellipse(box, fill=_colour(rng))
        else:
            draw.line(box, fill=_colour(rng), width=int(rng.integers(1, 8)))
    return image


def draw_bare_skin(rng: np.random.Generator) -> Image.Image:
    """Skin in uneven light with no lesion on it."""
    shade = 1 - rng.uniform(0, 0.6) * _ramp(rng)
    grain = rng.normal(0, rng.uniform(1, 6), (HEIGHT, WIDTH, 1))
    return _image(_skin(rng) * shade + grain)


def draw_far_skin(rng: np.random.Generator) -> Image.Image:
    """A limb or face from afar against a background, with small lesions: a clinical photograph."""
    background = draw_noise(rng) if rng.random() < 0.5 else draw_gradient(rng)
    skin = _skin(rng)
    limb = _image(skin * (1 - rng.uniform(0.1, 0.7) * _ramp(rng)))
    draw = ImageDraw.Draw(limb)
    for _ in range(rng.integers(1, 9)):
        x, y, radius = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(1, 7)
        spot = tuple(int(value) for value in skin * rng.uniform(0.25, 0.8))
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=spot)
    mask = Image.new("L", (WIDTH, HEIGHT), 0)
    x, y = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
    wide, high = rng.uniform(40, 180), rng.uniform(30, 120)
    ImageDraw.Draw(mask).ellipse([x - wide, y - high, x + wide, y + high], fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 4))))
    image = Image.composite(limb, background, mask)
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.5))))


def draw_text(rng: np.random.Generator) -> Image.Image:
    """A page or screen full of words."""
    image = Image.new("RGB", (WIDTH, HEIGHT), _colour(rng))
    draw, ink = ImageDraw.Draw(image), _colour(rng)
    for y in range(4, HEIGHT, int(rng.integers(10, 18))):
        letters = rng.integers(97, 123, rng.integers(5, 34))
        draw.text((int(rng.integers(2, 20)), y), "".join(map(chr, letters)), fill=ink)
    return image


def draw_checks(rng: np.random.Generator) -> Image.Image:
    """A chequered or striped pattern."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    side = int(rng.integers(4, 40))
    odd = (columns // side + (rows // side if rng.random() < 0.5 else 0)) % 2
    return _image(np.where(odd[..., None] == 1, np.array(_colour(rng)), np.array(_colour(rng))))


TRAINED_KINDS = {
    "noise": draw_noise,
    "gradient": draw_gradient,
    "plain": draw_plain,
    "shapes": draw_shapes,
    "bare_skin": draw_bare_skin,
    "far_skin": draw_far_skin,
}
HELD_OUT_KINDS = {"text": draw_text, "checks": draw_checks}
