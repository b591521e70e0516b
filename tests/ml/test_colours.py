"""HEIC and AVIF whose colours are named by numbers: wide gamuts become sRGB, HDR is refused."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from ml.opening import colour, containers
from ml.opening.pictures import InvalidImage, open_picture

SKIN = (205, 110, 70), (120, 70, 50), (60, 140, 90), (230, 200, 190)
"""In sRGB, each within the wider gamuts."""
FROM_SRGB = {
    colour.DISPLAY_P3: [[0.82246, 0.17754, 0], [0.03319, 0.96681, 0], [0.01708, 0.07240, 0.91052]],
    colour.BT_2020: [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]],
}
"""Linear sRGB in the other primaries, both of white D65 (CSS Color 4; ITU-R BT.2087)."""
FORMATS = pytest.mark.parametrize("format", ["HEIF", "AVIF"])


def linear(values):
    part = np.asarray(values) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def curved(part):
    return 255 * np.where(part <= 0.0031308, part * 12.92, 1.055 * part ** (1 / 2.4) - 0.055)


def in_primaries(primaries):
    """The colours of ``SKIN`` in numbers of those primaries."""
    matrix = np.array(FROM_SRGB.get(primaries, np.eye(3)))
    return [tuple(curved(matrix @ linear(one)).round().astype(int).tolist()) for one in SKIN]


def drawn(colours):
    image = Image.new("RGB", (64 * len(colours), 64))
    for n, one in enumerate(colours):
        image.paste(one, (64 * n, 0, 64 * n + 64, 64))
    return image


def stored(format, image, primaries, transfer=13, **options):
    """The picture in a file with a colour box (``nclx``) of these numbers."""
    if format == "HEIF":
        buffer, file = BytesIO(), pillow_heif.from_pillow(image)
        numbers = {"color_primaries": primaries, "transfer_characteristics": transfer}
        numbers |= {"matrix_coefficients": 5, "full_range_flag": 1}
        file.save(buffer, quality=95, chroma=444, save_nclx_profile=True, **numbers, **options)
        return buffer.getvalue()
    buffer = BytesIO()
    image.save(buffer, format, quality=95, subsampling="4:4:4", **options)
    data = buffer.getvalue()
    at = data.index(b"nclx") + 4
    return data[:at] + bytes([0, primaries, 0, transfer]) + data[at + 4 :]


def middles(data):
    pixels = np.asarray(open_picture(data).image).astype(int)
    return [pixels[32, 64 * n + 32] for n in range(len(SKIN))]


@FORMATS
@pytest.mark.parametrize("primaries", [1, 2, colour.DISPLAY_P3, colour.BT_2020])
def test_colours_are_those_of_the_skin(format, primaries):
    found = middles(stored(format, drawn(in_primaries(primaries)), primaries))
    assert np.abs(np.array(found) - SKIN).max() <= 4
    if primaries in FROM_SRGB:  # without the conversion they would be others
        assert np.abs(np.array(in_primaries(primaries)) - SKIN).max() > 10


@FORMATS
@pytest.mark.parametrize("transfer", [8, 16, 18])
@pytest.mark.parametrize("primaries", [1, colour.BT_2020])
def test_hdr_is_refused_with_a_word(format, primaries, transfer):
    with pytest.raises(InvalidImage, match=r"stored .*(linear|PQ|HLG).*Export it as JPEG"):
        open_picture(stored(format, drawn(SKIN), primaries, transfer))


def test_a_profile_counts_instead():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = stored("AVIF", drawn(SKIN), colour.DISPLAY_P3, icc_profile=srgb)
    assert b"prof" in data and containers.colours(data) == (colour.DISPLAY_P3, 13)
    assert np.abs(np.array(middles(data)) - SKIN).max() <= 4


def test_a_damaged_box_names_no_colours():
    data = stored("HEIF", drawn(SKIN), colour.DISPLAY_P3)
    assert containers.colours(data) == (colour.DISPLAY_P3, 13)
    for length in range(0, len(data), 7):
        assert containers.colours(data[:length]) in ((2, 2), (colour.DISPLAY_P3, 13))


def test_the_profile_is_one_that_others_read():
    for primaries in (colour.DISPLAY_P3, colour.BT_2020):
        profile = ImageCms.ImageCmsProfile(BytesIO(colour.profile(primaries)))
        assert profile.profile.xcolor_space.strip() == "RGB"
        # Its columns add up to the white of profiles.
        sums = [profile.profile.red_colorant, profile.profile.green_colorant]
        sums = np.sum([one[0] for one in (*sums, profile.profile.blue_colorant)], axis=0)
        assert np.allclose(sums, (0.9642, 1.0, 0.8249), atol=1e-3)
    assert colour.profile(1) is None
