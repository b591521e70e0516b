"""The dermatoscopic colours of a lesion, relative to the surrounding skin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.lesion.skin import lab

COLOURS = ("white", "red", "light_brown", "dark_brown", "blue_grey", "black")
"""The six of the ABCD rule of dermatoscopy (Stolz et al. 1994, Eur. J. Dermatol. 4:521-527)."""
PRESENT = 0.05
"""The share of a lesion from which a colour counts as present."""
PLAIN_SKIN = np.array([68.0, 14.0, 17.0])
"""L*, a*, b* of light skin, for pictures that show none around the lesion."""

Floats = npt.NDArray[np.float64]


def skin_colour(pixels: npt.NDArray[np.uint8], around: npt.NDArray[np.bool_]) -> Floats:
    """Median L*a*b* [3] of the skin. pixels [h, w, 3] sRGB; around [h, w]: where skin is visible.

    Excludes shadow (a dark corner, hair) and glare; PLAIN_SKIN if under 200 pixels remain.
    """
    colours = lab(pixels[around])
    skin = colours[(colours[:, 0] > 20) & (colours[:, 0] < 95)]
    return np.median(skin, axis=0) if len(skin) >= 200 else PLAIN_SKIN


def shares(colours: Floats, skin: Floats) -> dict[str, float]:
    """The share of a lesion in each colour; areas that look like its skin have none.

    colours [n, 3] and skin [3] in L*a*b*. The limits are our own: no published reference colours
    transfer between cameras, so all colours but black are defined by their distance from the skin:
    white is lighter and paler than it (a scar, regression), blue-grey has lost its yellow, red has
    gained only red, brown is darker, and dark brown less than half as light.
    """
    lightness, red, yellow = (colours - skin).T
    absolute = colours[:, 0]
    found = {
        "black": absolute < 16,
        "blue_grey": (colours[:, 2] < 4) & (yellow < -8) & (lightness < -8),
        "white": (lightness > 6) & (np.hypot(*colours[:, 1:].T) < np.hypot(*skin[1:])),
        "red": (red > 9) & (red > yellow + 4) & (absolute > 0.5 * skin[0]),
        "dark_brown": absolute < 0.5 * skin[0],
        "light_brown": lightness < -7,
    }
    left = np.ones(len(colours), bool)
    told = {}
    for name, here in found.items():
        told[name] = float((here & left).mean())
        left &= ~here
    return {name: told[name] for name in COLOURS}


def present(told: dict[str, float]) -> list[str]:
    """The names of the colours present, in the order of COLOURS."""
    return [name for name in COLOURS if told[name] >= PRESENT]
