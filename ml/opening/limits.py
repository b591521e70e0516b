"""Accepted pictures: formats and maximum sizes. Defined only here."""

from __future__ import annotations

from PIL import Image

MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
MAX_JPEG_PIXELS = 108_000_000
"""For a baseline JPEG, which can be decoded at a fraction of its size: what phones (12,000 x 9,000)
and cameras of medium format (11,648 x 8,736) make.
"""
MAX_WEBP_PIXELS = 36_000_000
"""Its decoder holds three copies with transparency beside the picture."""
KEPT_PIXELS = MAX_JPEG_PIXELS // 4
"""Larger pictures are halved, and halved again, until they are no larger than this."""
SCREEN_SIDE = 1600
"""Pixels. Pages show larger pictures at this size, and the stored one when it is zoomed."""


def size_in_words(size: int) -> str:
    """A number of bytes as limits are written: 20 MB, 4 GB."""
    return f"{size // 10**9} GB" if size >= 10**9 else f"{size // 10**6} MB"


IN_BYTES = size_in_words(MAX_BYTES)
IN_PIXELS = (
    f"{MAX_JPEG_PIXELS // 1_000_000} megapixels as JPEG, {MAX_WEBP_PIXELS // 1_000_000} as WebP, "
    f"else {MAX_PIXELS // 1_000_000}"
)
"""The limits in words, for all pages, responses and documents."""
FORMATS = ("JPEG", "PNG", "WebP", "HEIC", "AVIF")
"""Formats of photographs. Research data has two more: see ``open_image``."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
