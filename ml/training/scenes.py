"""Clinical scenes composed from dermatoscopic images: skin from afar, small lesions, a background.

The gate must reject these, and no available collection contains them: skin-coloured, with real
texture and real lesions, yet not dermatoscopy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from ml.training.data import FRAME, Examples

Pixels = npt.NDArray[np.uint8]
HEIGHT, WIDTH = FRAME
MARGIN = (69, 92)
"""Height and width of the corners that are searched for bare skin."""


def margins(examples: Examples, count: int, seed: int) -> Pixels:
    """[count, *FRAME, 3]: corners of images that no lesion reaches, enlarged: skin without lesion.

    Fewer than count, perhaps none, if the masks leave too few such corners.
    """
    rng = np.random.default_rng(seed)
    found = []
    for row in rng.permutation(np.flatnonzero(examples.masked)):
        pixels, mask = examples.pixels[row], examples.masks[row]
        top, left = rng.choice([0, HEIGHT - MARGIN[0]]), rng.choice([0, WIDTH - MARGIN[1]])
        window = np.s_[top : top + MARGIN[0], left : left + MARGIN[1]]
        if mask[window].any() or pixels[window].mean() < 90:  # a dark corner is not skin
            continue
        patch = Image.fromarray(pixels[window])
        found.append(np.asarray(patch.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)))
        if len(found) == count:
            break
    return np.stack(found) if found else np.empty((0, *FRAME, 3), np.uint8)


def from_afar(skins: Pixels, examples: Examples, others: Pixels, count: int, seed: int) -> Pixels:
    """[count, *FRAME, 3]: a body part with small real lesions, in front of another image.

    skins: from `margins`; others: any images, for the background.
    """
    rng = np.random.default_rng(seed)
    lesions = np.flatnonzero(examples.masked)
    scenes = []
    for _ in range(count):
        skin = _shaded(skins[rng.integers(len(skins))], rng)
        for row in rng.choice(lesions, rng.integers(0, 5)):
            _place(skin, examples.pixels[row], examples.masks[row], rng)
        if rng.random() < 0.75:
            background = Image.fromarray(others[rng.integers(len(others))])
            skin = Image.composite(skin, background, _silhouette(rng))
        scenes.append(np.asarray(skin.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.8)))))
    return np.stack(scenes)


def _shaded(skin: Pixels, rng: np.random.Generator) -> Image.Image:
    """Light that falls off to one side, as on a rounded body part."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    along = np.cos(angle) * columns + np.sin(angle) * rows
    light = 1 - rng.uniform(0.1, 0.6) * np.clip(along, 0, None)[..., None] ** 2
    return Image.fromarray(np.clip(skin * light, 0, 255).astype(np.uint8))


def _place(
    skin: Image.Image, pixels: Pixels, mask: npt.NDArray[np.bool_], rng: np.random.Generator
) -> None:
    """Paste a lesion a few pixels wide somewhere on the skin, with a soft border."""
    box = Image.fromarray(mask).convert("L").getbbox()
    if box is None:
        return
    longer = rng.uniform(4, 16) / max(box[2] - box[0], box[3] - box[1])
    size = (max(2, round((box[2] - box[0]) * longer)), max(2, round((box[3] - box[1]) * longer)))
    lesion = Image.fromarray(pixels).crop(box).resize(size, Image.Resampling.BOX)
    shape = Image.fromarray(mask).convert("L").crop(box).resize(size, Image.Resampling.BOX)
    skin.paste(lesion, (int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT))), shape)


def _silhouette(rng: np.random.Generator) -> Image.Image:
    """The area of the body part: a limb across the frame, or a rounded part of it."""
    mask = Image.new("L", (WIDTH, HEIGHT), 0)
    draw = ImageDraw.Draw(mask)
    if rng.random() < 0.5:
        start, end = rng.uniform(-40, 40, 2), np.array([WIDTH, HEIGHT]) + rng.uniform(-60, 60, 2)
        ends = [(float(start[0]), float(start[1] + HEIGHT / 2)), (float(end[0]), float(end[1] / 2))]
        draw.line(ends, fill=255, width=int(rng.uniform(50, 130)))
    else:
        x, y = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
        wide, high = rng.uniform(50, 150), rng.uniform(40, 110)
        draw.ellipse([x - wide, y - high, x + wide, y + high], fill=255)
    return mask.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 3))))
