"""Opening files of all kinds."""

import numpy as np
import pytest
from PIL import Image

from ml.opening.pictures import open_image
from tests.ml.conftest import draw_lesion

SMALL = draw_lesion(120, 160)


def saved(folder, name: str, image: Image.Image, **options) -> str:
    file = folder / name
    image.save(file, **options)
    return str(file)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tiff"])
def test_all_formats_open(tmp_path, name):
    pixels = open_image(saved(tmp_path, name, Image.fromarray(SMALL)))
    assert pixels.shape == SMALL.shape
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(float) - SMALL).mean() < 8


def test_the_content_counts_not_the_name(tmp_path):
    file = saved(tmp_path, "a.jpg", Image.fromarray(SMALL), format="PNG")
    assert np.array_equal(open_image(file), SMALL)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "I;16", "I", "F"])
def test_all_modes_become_rgb(tmp_path, mode):
    grey = np.asarray(Image.fromarray(SMALL).convert("L"))
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "I":
        image = Image.fromarray(grey.astype(np.int32) * 257)
    else:
        image = Image.fromarray(SMALL).convert(mode)
    suffix = "tiff" if mode in ("CMYK", "F", "I") else "png"
    pixels = open_image(saved(tmp_path, f"a.{suffix}", image))
    assert pixels.shape == SMALL.shape
    assert pixels.dtype == np.uint8
    if mode != "1":
        assert np.abs(pixels.mean(axis=2) - grey).mean() < 20


def test_what_is_transparent_is_white(tmp_path):
    image = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    assert open_image(saved(tmp_path, "a.png", image)).min() == 255


def test_a_turned_photograph_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    file = saved(tmp_path, "a.png", Image.fromarray(SMALL), exif=exif)
    assert np.array_equal(open_image(file), np.rot90(SMALL, -1))


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    file = saved(tmp_path, "a.png", Image.new("1", (9000, 8000)))
    with pytest.raises(ValueError, match="pixels"):
        open_image(file)


def test_a_bomb_is_refused(tmp_path):
    file = saved(tmp_path, "a.png", Image.new("1", (20000, 10000)))
    with pytest.raises(ValueError, match="pixels"):
        open_image(file)


@pytest.mark.parametrize("part", [0, 3, 100, 1500])
def test_a_cut_off_file_is_refused(tmp_path, part):
    file = tmp_path / "a.jpg"
    Image.fromarray(SMALL).save(file)
    file.write_bytes(file.read_bytes()[:part])
    with pytest.raises(ValueError, match=r"damaged|not a JPEG"):
        open_image(file)


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a", b"%PDF-1.7", b"\x00" * 5000])
def test_what_is_no_image_is_refused(tmp_path, content):
    file = tmp_path / "a.jpg"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="not a JPEG"):
        open_image(file)


@pytest.mark.parametrize("name", ["nothing.jpg", "", "x" * 400, "a\0b"])
def test_no_file_is_said(tmp_path, name):
    with pytest.raises(ValueError, match=r"no such file|cannot be read"):
        open_image(tmp_path / name)
