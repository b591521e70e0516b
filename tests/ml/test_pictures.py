"""Pictures of every format and mode, intact and damaged: correct colours, or a message."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageCms

from ml.opening import exif, limits, pictures
from ml.opening.pictures import InvalidImage, open_picture
from ml.opening.rgb import to_rgb
from tests import cases

SIZE = (96, 80)
SKIN = (214, 160, 128)
MODES = (
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB"),
    *("HSV", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"),
)
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF")


def card(*, opaque: bool = True) -> Image.Image:
    """Three fields: skin, dark brown, and one that is transparent if the format allows."""
    card = Image.new("RGBA", SIZE, (*SKIN, 255))
    card.paste((70, 40, 30, 255), (32, 0, 64, 80))
    card.paste((250, 250, 250, 255) if opaque else (0, 0, 0, 0), (64, 0, 96, 80))
    return card


def in_mode(mode: str, image: Image.Image) -> Image.Image:
    rgb = Image.new("RGB", image.size, "white")
    rgb.paste(image, mask=image.getchannel("A"))
    grey = np.asarray(rgb.convert("L"))
    match mode:
        case "LA" | "La":
            return image.convert("LA").convert(mode)
        case "RGBA" | "RGBa":
            return image.convert(mode)
        case "P":
            return image.quantize(16, method=Image.Quantize.FASTOCTREE)
        case "PA":
            return image.quantize(16, method=Image.Quantize.FASTOCTREE).convert("PA")
        case "LAB":
            srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
            return ImageCms.profileToProfile(rgb, srgb, lab, outputMode="LAB")
        case "I":
            return Image.fromarray(grey.astype(np.int32) * 257)
        case "I;16B":
            return Image.frombytes(mode, image.size, (grey.astype(">u2") * 257).tobytes())
        case "I;16" | "I;16L" | "I;16N":
            return Image.frombytes(mode, image.size, (grey.astype("<u2") * 257).tobytes())
        case _:
            return rgb.convert(mode)


def saved(image: Image.Image, format: str) -> bytes | None:
    """None: the format does not support the mode."""
    if image.mode[0] == "I" and format in ("WEBP", "AVIF"):
        return None  # Pillow writes it, but all white
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if format == "HEIF":
                return cases.heic(image)
            options = {"quality": 95} if format in ("JPEG", "AVIF") else {}
            options |= {"lossless": True} if format == "WEBP" else {}
            return cases.encoded(image, format, **options)
    except (OSError, ValueError, KeyError, SystemError):
        return None


def fields(data: bytes) -> list[list[int]]:
    image = open_picture(data, more=("BMP", "TIFF")).image
    assert (image.mode, image.size) == ("RGB", SIZE)
    return shown(image)


def shown(image: Image.Image) -> list[list[int]]:
    return [list(image.getpixel((x, 40))) for x in (16, 48, 80)]


def grey_of(colour: tuple[int, int, int]) -> list[int]:
    return [Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))] * 3


def right_of(mode: str, *, opaque: bool) -> list[list[int]]:
    if mode == "1":
        return [[255] * 3, [0] * 3, [255] * 3]
    colours = [SKIN, (70, 40, 30), (250, 250, 250) if opaque else (255, 255, 255)]
    is_grey = mode[0] in "LIF" and mode != "LAB"
    return [grey_of(colour) if is_grey else list(colour) for colour in colours]


@pytest.mark.parametrize("opaque", [True, False], ids=["opaque", "transparent"])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(mode, opaque):
    found = shown(to_rgb(in_mode(mode, card(opaque=opaque)), None, 1))
    first = 1 if mode == "1" else 0  # what is neither is dithered
    off = np.abs(np.array(found) - right_of(mode, opaque=opaque))
    assert off[first:].max() <= (9 if mode in ("P", "PA") else 4)


@pytest.mark.parametrize("opaque", [True, False], ids=["opaque", "transparent"])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_every_format_that_holds_it_gives_the_same(mode, format, opaque):
    if not opaque and (format == "BMP" or (mode == "P" and format in ("TIFF", "HEIF"))):
        pytest.skip("transparency is lost when it is written")
    data = saved(in_mode(mode, card(opaque=opaque)), format)
    if data is None:
        pytest.skip(f"{format} holds no {mode}")
    first = 1 if mode == "1" else 0
    is_lossy = format in ("JPEG", "AVIF", "HEIF") or mode in ("P", "PA")
    off = np.abs(np.array(fields(data)) - right_of(mode, opaque=opaque))
    assert off[first:].max() <= (9 if is_lossy else 4)


def png_with_key(depth: int, colour: int, key: tuple[int, ...]) -> bytes:
    """Left half: the samples that ``key`` declares transparent. Right half: light grey."""
    samples = [*key * 48, *[_light(depth)] * (48 * len(key))]
    bits = "".join(f"{sample:0{depth}b}" for sample in samples)
    rows = [b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")] * SIZE[1]
    whole = cases.encoded(Image.new("L", SIZE), "PNG")
    header = struct.pack(">IIBBBBB", *SIZE, depth, colour, 0, 0, 0)
    return whole[:8] + b"".join(
        (
            cases.chunk(b"IHDR", header),
            cases.chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)),
            cases.chunk(b"IDAT", zlib.compress(b"".join(rows))),
            cases.chunk(b"IEND", b""),
        )
    )


def _light(depth: int) -> int:
    return 3 * 2**depth // 4


@pytest.mark.parametrize(
    ("depth", "colour", "key"),
    [
        (1, 0, (0,)),
        (2, 0, (1,)),
        (4, 0, (5,)),
        (8, 0, (40,)),
        (16, 0, (1000,)),
        (8, 2, (10, 20, 30)),
        (16, 2, (1000, 2000, 40000)),
    ],
)
def test_a_colour_that_means_transparent_is_white_and_nothing_else_is(depth, colour, key):
    image = open_picture(png_with_key(depth, colour, key)).image
    rest = _light(depth) * 255 // (2**depth - 1)
    assert image.getpixel((10, 40)) == (255, 255, 255)
    assert abs(image.getpixel((80, 40))[0] - rest) <= 1


def test_adobes_inverted_inks_are_right():
    data = saved(in_mode("CMYK", card()), "JPEG")
    assert b"Adobe" in data
    assert np.abs(np.array(fields(data)) - [SKIN, (70, 40, 30), (250, 250, 250)]).max() <= 9


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_profile_is_followed_whatever_the_mode(format, mode):
    """sRGB with two primaries swapped: red becomes green."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ", 128), profile.index(b"gXYZ", 128)
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    image = Image.new("RGB", SIZE, (200, 40, 40)).convert(mode)
    try:
        data = cases.encoded(image, format, icc_profile=bytes(profile))
    except OSError:
        pytest.skip(f"{format} holds no {mode}")
    found = fields(data)[0]
    assert found[1] > found[0]


@pytest.mark.parametrize("size", [(12_000, 9_000), (11_648, 8_736), (8_192, 6_144)])
def test_a_large_jpeg_is_read_at_a_fraction_of_its_size(size):
    data = cases.encoded(Image.new("RGB", size, SKIN))
    found = open_picture(data)
    assert found.image.width * found.image.height <= limits.KEPT_PIXELS
    assert abs(found.image.width / found.image.height - size[0] / size[1]) < 0.001
    assert np.abs(np.array(found.image.getpixel((5, 5))) - SKIN).max() <= 3


def test_what_is_larger_is_refused_by_its_limit():
    with pytest.raises(InvalidImage, match="108 megapixels"):
        open_picture(cases.encoded(Image.new("L", (12_000, 9_010))))
    with pytest.raises(InvalidImage, match="36 megapixels"):
        open_picture(cases.encoded(Image.new("RGB", (8_000, 4_501)), "WEBP", method=0))
    with pytest.raises(InvalidImage, match="50 megapixels"):
        open_picture(cases.encoded(Image.new("L", (7_200, 7_000)), progressive=True))


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_what_moves_is_refused_with_a_word(format):
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "blue")]
    data = cases.encoded(frames[0], format, save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidImage, match=r"animated|GIF file|several pictures"):
        open_picture(data, more=("TIFF",))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x20ftypisom", "video"),
        (b"\0\0\0\x14ftypqt  ", "video"),
        (b"\xff\x0a\0\0", "JPEG XL"),
        (b"%PDF-1.7", "PDF"),
        (b"II*\0\0\0", "TIFF or camera raw"),
    ],
)
def test_what_it_is_is_named_with_what_to_do(head, name):
    with pytest.raises(InvalidImage, match=f"This is a {name} file, not a JPEG.* Export it"):
        open_picture(head + b"\0" * 100)


def whole_files() -> list[bytes]:
    block = cases.exif(6)
    formats = ("JPEG", "PNG", "WEBP", "AVIF")
    plain = [cases.encoded(cases.spot((120, 90)), format, exif=block) for format in formats]
    progressive = cases.encoded(cases.spot((120, 90)), progressive=True)
    return [*plain, cases.heic(cases.spot((120, 90)), exif=block), cases.mpo(), progressive]


def test_no_damage_is_anything_but_a_picture_or_a_word():
    random, taken, files = Random(12), 0, whole_files()
    for number in range(700):
        data = bytearray(files[number % len(files)])
        reach = len(data) if number % 2 else min(len(data), 400)
        for _ in range(1 + number % 5):
            data[random.randrange(reach)] = random.randrange(256)
        if number % 7 == 0:
            del data[random.randrange(len(data)) :]
        if number % 11 == 0:
            start = random.randrange(len(data) or 1)
            data[start:start] = random.randbytes(20)
        try:
            open_picture(bytes(data))
            taken += 1
        except InvalidImage as refusal:
            assert str(refusal).endswith(".")
    assert 50 < taken < 650


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_no_damage_of_a_block_refuses_a_good_picture(format):
    random, whole = Random(9), cases.with_exif(format, cases.exif(1)[6:])
    start = len(whole) - len(exif.find(whole))
    end = whole.index(b"GPS-of-a-home")
    block = whole[start:end]
    for number in range(250):
        damaged = bytearray(block)
        for _ in range(1 + number % 6):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        if number % 9 == 0:
            cut = random.randrange(len(damaged))
            damaged[cut:] = bytes(len(damaged) - cut)
        found = open_picture(whole[:start] + bytes(damaged) + whole[end:])
        assert set(found.image.size) == {300, 225}
        assert 1 <= found.exif.orientation <= 8


def test_nothing_in_a_block_makes_its_parser_fail():
    random, block = Random(3), cases.exif(6)
    for number in range(3000):
        data = bytearray(block if number % 3 else random.randbytes(200))
        for _ in range(8):
            data[random.randrange(len(data))] = random.randrange(256)
        found = exif.read(bytes(data[: random.randrange(1, len(data))] if number % 2 else data))
        assert 1 <= found.orientation <= 8
        assert len(found.camera) <= 120
    assert exif.read(b"") == exif.read(b"II*\0") == exif.Exif()
    assert exif.find(b"no block") == b""


@pytest.mark.parametrize(
    ("told", "day", "hour", "no_day"),
    [
        ("2024:03:16 12:50:49", "2024-03-16", "12:50:49", ""),
        ("2024-03-16T12:50:49", "2024-03-16", "12:50:49", ""),
        ("2024:03:16", "2024-03-16", "None", ""),
        ("2024:03:16 25:00:00", "2024-03-16", "None", ""),
        ("0000:00:00 00:00:00", "None", "00:00:00", ""),
        ("2024:02:30 10:00:00", "None", "10:00:00", "2024:02:30"),
        ("    :  :     :  :  ", "None", "None", ""),
    ],
)
def test_which_moment_is_read(told, day, hour, no_day):
    found = exif.read(cases.exif(taken=told))
    assert (str(found.taken_on), str(found.taken_at), found.no_day) == (day, hour, no_day)


def test_the_day_of_the_file_is_not_that_of_the_picture():
    block = Image.Exif()
    block[0x0132] = "2026:01:01 10:00:00"
    assert exif.read(block.tobytes()).taken_on is None


def test_open_image_reads_both_ends_of_the_room(tmp_path):
    file = tmp_path / "a.heic"
    file.write_bytes(cases.heic())
    assert pictures.open_image(file).shape == (225, 300, 3)
    assert open_picture(BytesIO(cases.mpo()).read()).image.size == (300, 225)


def test_the_document_tells_the_limits():
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert f"at most {limits.IN_BYTES} and {limits.IN_PIXELS}, each side" in " ".join(text.split())
    kept = limits.KEPT_PIXELS // 1_000_000
    assert f"larger than {kept} megapixels is kept at half" in text
