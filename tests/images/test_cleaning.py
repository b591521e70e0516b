"""Bytes in, a clean picture out; or a message that says what to do."""

from __future__ import annotations

import hashlib
import struct
import time
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from ml.opening import pictures
from screening.images import cleaning, synthetic
from tests import cases

SECRET = "GPS-of-a-home"


def clean(data: bytes) -> cleaning.CleanImage:
    return cleaning.clean(BytesIO(data))


def encoded(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def spot() -> Image.Image:
    return synthetic.draw_lesion(size=(300, 225))


@pytest.mark.parametrize(
    ("format", "extension"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "png")]
)
def test_it_keeps_pictures_of_every_accepted_format(spot, format, extension):
    data = encoded(spot, format)
    result = clean(data)
    assert (result.width, result.height, result.extension) == (300, 225, extension)
    assert result.sha256 == hashlib.sha256(data).hexdigest()
    stored = pictures.load_pixels(BytesIO(result.data))
    original = np.asarray(Image.open(BytesIO(data)).convert("RGB"), dtype=int)
    assert np.abs(stored - original).mean() < 1.5
    thumbnail = Image.open(BytesIO(result.thumbnail))
    assert max(thumbnail.size) == 300


def test_a_lossless_picture_stays_as_it_was(spot):
    result = clean(encoded(spot, "PNG"))
    assert np.array_equal(pictures.load_pixels(BytesIO(result.data)), np.asarray(spot))


def test_a_large_picture_gets_a_small_thumbnail(spot):
    thumbnail = clean(encoded(spot.resize((2000, 1500)))).thumbnail
    assert max(Image.open(BytesIO(thumbnail)).size) == cleaning.THUMBNAIL_SIDE


def _with_metadata(image: Image.Image, format: str) -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x010E] = "Acme", "Scope 9", SECRET
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[29] = SECRET
    if format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", SECRET)
        text.add_itxt("XML:com.adobe.xmp", SECRET)
        return encoded(image, "PNG", pnginfo=text, exif=exif)
    options = {"exif": exif, "xmp": f"<x>{SECRET}</x>".encode()}
    if format == "JPEG":
        options["comment"] = SECRET
    return encoded(image, format, **options)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_nothing_but_the_pixels_is_kept(spot, format):
    data = _with_metadata(spot, format)
    assert SECRET.encode() in data
    result = clean(data)
    for stored in (result.data, result.thumbnail):
        assert SECRET.encode() not in stored
        for mark in (b"Exif", b"http://ns.adobe.com", b"ICC_PROFILE", b"iTXt", b"tEXt", b"eXIf"):
            assert mark not in stored
        assert (
            not {"exif", "comment", "xmp", "icc_profile"} & Image.open(BytesIO(stored)).info.keys()
        )
    assert result.camera_model == "Acme Scope 9"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_upright_whatever_exif_says(orientation):
    upright = Image.new("RGB", (120, 80), "white")
    upright.paste("red", (0, 0, 60, 40))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # transpositions that undo the orientation
    turned = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = clean(encoded(turned, "PNG", exif=exif))
    assert np.array_equal(pictures.load_pixels(BytesIO(result.data)), np.asarray(upright))


def test_colours_are_taken_to_srgb():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    assert lab.tobytes()
    swapped = _profile_with_swapped_red_and_green()
    picture = Image.new("RGB", (80, 80), (200, 40, 40))
    stored = pictures.load_pixels(BytesIO(clean(encoded(picture, "PNG", icc_profile=swapped)).data))
    red, green, _ = stored[40, 40]
    assert green > red


def _profile_with_swapped_red_and_green() -> bytes:
    """sRGB's own profile with the tags of two primaries swapped."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ", 128), profile.index(b"gXYZ", 128)
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1", "I;16"])
def test_other_modes_become_rgb(mode):
    image = Image.new("I;16", (100, 80), 40_000) if mode == "I;16" else None
    image = image or Image.new("RGB", (100, 80), (150, 150, 150)).convert(mode)
    data = encoded(image, "JPEG" if mode == "CMYK" else "PNG")
    pixels = pictures.load_pixels(BytesIO(clean(data).data))
    assert pixels.shape == (80, 100, 3)
    if mode != "1":
        assert abs(int(pixels.mean()) - 152) < 8


def test_a_broken_colour_profile_is_left_aside(spot):
    assert clean(encoded(spot, "JPEG", icc_profile=b"no profile at all")).width == 300


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header declares a size that its few bytes of data do not contain."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def _text_bomb(spot: Image.Image) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 80_000_000, zip=True)
    return encoded(spot, "PNG", pnginfo=text)


def test_a_text_that_would_swell_is_not_looked_at(spot):
    assert clean(_text_bomb(spot)).width == 300


def _animated(format: str) -> bytes:
    frames = [Image.new("RGB", (100, 100), colour) for colour in ("red", "blue")]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=100)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty", lambda s: b"", "empty"),
        ("text", lambda s: b"%PDF-1.7 not a picture", "a PDF file, not a JPEG, PNG, .* or DICOM"),
        ("gif", lambda s: encoded(s, "GIF"), "a GIF file, not a JPEG"),
        ("tiff", lambda s: encoded(s, "TIFF"), "a TIFF or camera raw file, not a JPEG"),
        ("svg", lambda s: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a JPEG"),
        ("truncated jpeg", lambda s: encoded(s)[:3000], "damaged"),
        ("truncated png", lambda s: encoded(s, "PNG")[:9000], "damaged"),
        ("truncated webp", lambda s: encoded(s, "WEBP")[:900], "damaged|not a JPEG"),
        ("jpeg head only", lambda s: b"\xff\xd8\xff\xe0", "damaged"),
        ("too large", lambda s: b"\xff\xd8" + b"0" * 20_000_000, "20 MB"),
        ("too many pixels", lambda s: png_claiming(8000, 6251), "50 megapixels"),
        ("bomb", lambda s: png_claiming(60_000, 60_000), "50 megapixels"),
        ("lying header", lambda s: png_claiming(4000, 4000), "damaged"),
        ("animated webp", lambda s: _animated("WEBP"), "animated"),
        ("animated png", lambda s: _animated("PNG"), "animated"),
        ("tiny", lambda s: encoded(s.resize((40, 30))), "40 x 30"),
    ],
)
def test_it_says_what_is_wrong(spot, name, data, message):
    with pytest.raises(cleaning.InvalidImage, match=message):
        clean(data(spot))


def test_a_file_name_has_no_say(spot):
    """The type comes from the content, because there is no name."""
    assert clean(encoded(spot, "PNG")).extension == "png"


def test_of_many_colour_profiles_one_is_unpacked(spot):
    """Two thousand of a megabyte each, in 2 MB."""
    data = cases.png(300, 225, colours=2)
    profile = cases.chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000), 9))
    at = data.index(b"IDAT") - 4
    started = time.process_time()
    assert pictures.open_picture(data[:at] + profile * 2000 + data[at:]).image.size == (300, 225)
    assert time.process_time() - started < 1
