"""From pixels in any of Pillow's modes to opaque 8-bit RGB in sRGB."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageCms

_SRGB = ImageCms.createProfile("sRGB")
_BAND = 256
"""Rows converted at a time."""
_RANGES = (1, 0xFF, 0xFFFF, 0xFFFFFFFF)
"""Possible values of white: samples may have more bits than the image uses."""


def to_rgb(image: Image.Image, key: tuple[int, ...] | None, factor: int) -> Image.Image:
    """RGB pixels on a fresh canvas, smaller by ``factor``; transparent areas become white.

    key: the colour that means "transparent", in the samples of the image's mode. Converted band by
    band: copying the whole would double the memory, and keep the JPEG comment in its ``info``.
    """
    image.load()
    to_rgb = _converter(image)
    width, height = image.size
    fresh = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, _BAND):
        band = image.crop((0, top, width, min(top + _BAND, height)))
        alpha = _alpha(band, key)
        flat = to_rgb(band)
        if alpha is not None:
            flat = Image.composite(flat, Image.new("RGB", flat.size, "white"), alpha)
        fresh.paste(flat.reduce(factor) if factor > 1 else flat, (0, top // factor))
    return fresh


def _alpha(band: Image.Image, key: tuple[int, ...] | None) -> Image.Image | None:
    """The opacity of each pixel; None if all are opaque."""
    if key is not None:
        samples = np.asarray(band if band.mode != "1" else band.convert("L"))
        is_key = samples == (key[0] if samples.ndim == 2 else np.array(key))
        if samples.ndim == 3:
            is_key = is_key.all(axis=2)
        return Image.fromarray(np.where(is_key, 0, 255).astype(np.uint8))
    if band.mode == "P" and band.has_transparency_data:
        return band.convert("RGBA").getchannel("A")
    if band.mode in ("LA", "RGBA", "PA"):
        return band.convert("RGBA").getchannel("A")
    return band.getchannel("a") if band.mode in ("La", "RGBa") else None


def _converter(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """A converter from bands of this image to sRGB; transparency is ignored."""
    mode = image.mode
    to_8_bits = _to_8_bits(image) if mode[0] in "IF" else None
    plain = "CMYK" if mode == "CMYK" else "LAB" if mode == "LAB" else ""
    plain = plain or ("L" if mode[0] in "1LIF" else "RGB")
    transform = _to_srgb(image.info.get("icc_profile"), plain)

    def convert(band: Image.Image) -> Image.Image:
        if to_8_bits is not None:
            band = to_8_bits(band)
        elif mode in ("La", "RGBa", "PA"):
            band = band.convert({"La": "LA"}.get(mode, "RGBA"))
        elif mode == "P":  # an expanded palette: otherwise transparency would be mixed in
            band = band.convert("RGBA")
        if band.mode != plain:
            band = _without_alpha(band, plain)
        if transform is not None:
            band = ImageCms.applyTransform(band, transform) or band
        return band.convert("RGB")

    return convert


def _without_alpha(band: Image.Image, plain: str) -> Image.Image:
    if band.mode == "RGBA":
        return Image.merge("RGB", band.split()[:3])
    if band.mode == "LA":
        return band.getchannel("L")
    return band.convert(plain)


def _to_8_bits(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    if image.mode.startswith("I;16"):
        white: float = 0xFFFF
    else:
        brightest: Any = image.getextrema()[1]
        white = next((most for most in _RANGES if brightest <= most), brightest)
        if image.mode == "I" and white == 1:
            white = 0xFF

    def scaled(band: Image.Image) -> Image.Image:
        samples = np.nan_to_num(np.asarray(band, np.float32)) * (255 / white)
        return Image.fromarray(np.clip(np.rint(samples), 0, 255).astype(np.uint8))

    return scaled


def _to_srgb(profile: bytes | None, mode: str) -> Any:
    """A transform by the picture's own profile; None if it has none, or a broken or unsuitable
    one.
    """
    try:
        if profile:
            source: Any = ImageCms.ImageCmsProfile(BytesIO(profile))
        elif mode == "LAB":
            source = ImageCms.createProfile("LAB")
        else:
            return None
        return ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except Exception:  # lcms raises several kinds through Pillow
        return None
