"""The tone of the skin around a lesion, from the picture's colours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

MARGIN = 11
"""Pixels of a 200x150 image around the lesion that count as neither lesion nor skin (odd)."""
LEAST_SKIN = 0.1
"""The minimum share of the picture that must remain as skin."""
BANDS = (
    ("very light", 55.0),
    ("light", 41.0),
    ("intermediate", 28.0),
    ("tan", 10.0),
    ("brown", -30.0),
    ("dark", -91.0),
)
"""Name, and the ITA in degrees above which it applies (Del Bino & Bernerd 2013)."""

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip
_WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """sRGB uint8 [..., 3] to CIE L*a*b* (D65), IEC 61966-2-1 and CIE 15."""
    values = pixels / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ita(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> float | None:
    """Individual typology angle of the skin around a lesion, degrees; None if it cannot be
    determined.

    pixels [h, w, 3] sRGB, mask [h, w]: the lesion. atan2(L* - 50, b*) of the medians over the
    pixels outside the mask that lie in neither shadow nor glare. The light of the picture is
    unknown, so this estimate orders skin tones; it does not measure them.
    """
    near = Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(MARGIN))
    colours = lab(pixels[np.asarray(near) == 0])
    if not len(colours):
        return None
    skin = colours[(colours[:, 0] > 20) & (colours[:, 0] < 95)]
    if len(skin) < LEAST_SKIN * mask.size:
        return None
    lightness, _, yellow = np.median(skin, axis=0)
    if yellow <= 0:  # bluish light: no skin has this colour
        return None
    return float(np.degrees(np.arctan2(lightness - 50, yellow)))


def band(angle: float) -> str:
    """The name of an ITA's band, from very light to dark."""
    return next(name for name, above in BANDS if angle > above)
