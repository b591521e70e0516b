"""Pictures for demonstrations and tests, drawn by this code and marked so in the picture."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_SKIN = np.array([224.0, 178.0, 156.0])
_PIGMENT = np.array([112.0, 66.0, 48.0])
_DARK = np.array([46.0, 30.0, 34.0])


def draw_lesion(
    *,
    seed: int = 0,
    radius: float = 0.22,
    dark_side: float = 0.0,
    size: tuple[int, int] = (600, 450),
) -> Image.Image:
    """A pigmented spot on a skin texture, as through a dermatoscope.

    seed: the same seed gives the same spot. radius: of the spot, as a share of the height.
    dark_side: 0..1, how much darker one half is. size: width, height in pixels.
    """
    width, height = size
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    dx, dy = x - width / 2, (y - height / 2) * 1.15
    distance, angle = np.hypot(dx, dy) / height, np.arctan2(dy, dx)
    wobble = sum(
        random.normal(0, 0.03) * np.cos(k * angle + random.uniform(0, 6.28)) for k in range(2, 6)
    )
    inside = 1 / (1 + np.exp((distance - radius * (1 + wobble)) / 0.012))
    net = 0.5 + 0.5 * np.sin(x / 7) * np.sin(y / 7)
    one_side = np.clip(dx / (radius * height), 0, 1)
    pigment = _PIGMENT + (net * 26 - 13)[..., None]
    pigment += (_DARK - pigment) * (dark_side * one_side)[..., None]
    picture = _SKIN + random.normal(0, 5, (height, width, 1))
    picture = picture * (1 - inside[..., None]) + pigment * inside[..., None]
    picture *= (1 - 0.25 * np.clip(distance - 0.45, 0, 1))[..., None]
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(0.8)
    )
    _mark(image)
    return image


def jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _mark(image: Image.Image) -> None:
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(12, image.height // 24))
    draw.text((8, 6), "SYNTHETIC", fill=(60, 40, 36), font=font)
