"""Colours that a HEIF or AVIF file names by numbers instead of a profile (``nclx``).

The numbers are those of ITU-T H.273. Where a file has an ICC profile, that counts instead.
"""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
import numpy.typing as npt

DISPLAY_P3, BT_2020 = 12, 9
_CHROMATICITIES = {
    DISPLAY_P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    BT_2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
}
"""x, y of red, green and blue (H.273, table 2). Others that pictures use are close to sRGB's."""
_D65 = (0.3127, 0.3290)
_D50 = np.array([0.9642, 1.0, 0.8249])
"""The white of profiles (ICC.1:2022, 7.2.16)."""
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""g, a, b, c, d of a parametric curve of type 3 (ICC.1:2022, 10.18)."""

NOT_FOR_SCREENS = {8: "as linear light", 16: "for HDR (PQ)", 18: "for HDR (HLG)"}
"""By transfer characteristics: how such brightness is stored. Shown as sRGB it would be wrong."""


@lru_cache
def profile(primaries: int) -> bytes | None:
    """An ICC profile with these primaries and sRGB's curve; None if they are about sRGB's."""
    if primaries not in _CHROMATICITIES:
        return None
    curve = b"para" + struct.pack(">4xHxx", 3) + b"".join(map(_fixed, _SRGB_CURVE))
    columns = zip(*_to_d50(primaries), strict=True)
    tags = [
        (b"wtpt", _xyz(_D50)),
        *zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, columns), strict=True),
    ]
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    start = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, data in tags:
        table += name + struct.pack(">II", start + len(content), len(data))
        content += data
    return _header(start + len(content)) + table + content


def _to_d50(primaries: int) -> npt.NDArray[np.float64]:
    """From linear RGB to XYZ, adapted to D50 [3, 3]."""
    colours = np.array([_upright(*xy) for xy in _CHROMATICITIES[primaries]]).T
    white = np.array(_upright(*_D65))
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD
    found: npt.NDArray[np.float64] = adapted @ colours @ np.diag(np.linalg.solve(colours, white))
    return found


def _upright(x: float, y: float) -> tuple[float, float, float]:
    """XYZ of a chromaticity, at Y = 1."""
    return x / y, 1.0, (1 - x - y) / y


def _header(size: int) -> bytes:
    head = struct.pack(">I4xI", size, 0x04300000) + b"mntrRGB XYZ "
    head = head.ljust(36, b"\0") + b"acsp"
    return (head.ljust(68, b"\0") + b"".join(map(_fixed, _D50))).ljust(128, b"\0")


def _xyz(values: npt.NDArray[np.float64] | tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))
