"""The data on disk, in the layouts that users have, and its split."""

import csv
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ml import data, outside, scenes
from ml.data import Part, Source, part_of
from tests.ml.conftest import draw_lesion

COLUMNS = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]
ROWS = [
    ["HAM_1", "ISIC_1", "mel", "histo", "60.0", "male", "back"],
    ["HAM_1", "ISIC_2", "mel", "histo", "60.0", "male", "back"],
    ["HAM_2", "ISIC_3", "vasc", "consensus", "", "unknown", "unknown"],
]


def write_rows(file, columns: list[str], rows: list[list[str]]) -> None:
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([columns, *rows])


def write_ham10000(folder, folders: list[str], size: tuple[int, int]):
    write_rows(folder / "HAM10000_metadata.csv", COLUMNS, ROWS)
    for number, row in enumerate(ROWS):
        place = folder / folders[number % len(folders)]
        place.mkdir(exist_ok=True)
        Image.fromarray(draw_lesion(*size, seed=number)).save(place / f"{row[1]}.jpg")
    return folder


@pytest.mark.parametrize(
    ("folders", "size"),
    [
        (["HAM10000_images_part_1", "HAM10000_images_part_2"], (450, 600)),
        (["images_200x150"], (150, 200)),
        (["of my own"], (300, 400)),
    ],
)
def test_each_layout_loads(tmp_path, folders, size):
    examples = data.load_ham10000(write_ham10000(tmp_path, folders, size))
    assert examples.pixels.shape == (3, 150, 200, 3)
    assert list(examples.labels) == [4, 4, 6]
    assert list(examples.lesions) == ["HAM_1", "HAM_1", "HAM_2"]
    assert examples.known[0].localization == "back"
    assert not examples.context[2].any()
    assert set(examples.sources) == {Source.HAM10000}


def test_the_metadata_may_have_a_name_of_its_own(tmp_path):
    folder = write_ham10000(tmp_path, ["."], (150, 200))
    (folder / "HAM10000_metadata.csv").rename(folder / "mine.csv")
    assert len(data.load_ham10000(folder)) == 3
    (folder / "other.csv").write_text("x\n1\n")
    with pytest.raises(ValueError, match="HAM10000_metadata"):
        data.load_ham10000(folder)


def test_isic2017_loads_without_sites(tmp_path):
    write_rows(
        tmp_path / "metadata.csv",
        ["image_id", "dx", "age", "sex"],
        [["ISIC_9", "bkl", "40.0", "female"]],
    )
    (tmp_path / "images").mkdir()
    Image.fromarray(draw_lesion(256, 256)).save(tmp_path / "images" / "ISIC_9.jpg")
    examples = data.load_isic2017(tmp_path)
    assert examples.pixels.shape == (1, 150, 200, 3)
    assert examples.known[0].localization is None
    assert list(examples.lesions) == ["ISIC_9"]


def test_missing_data_is_named(tmp_path):
    with pytest.raises(ValueError, match="metadata"):
        data.load_ham10000(tmp_path)
    write_ham10000(tmp_path, ["images_200x150"], (150, 200))
    (tmp_path / "images_200x150" / "ISIC_2.jpg").unlink()
    with pytest.raises(ValueError, match="ISIC_2"):
        data.load_ham10000(tmp_path)


def test_the_split_depends_on_the_lesion_alone():
    assert {part_of("HAM_0000118") for _ in range(3)} == {part_of("HAM_0000118")}
    parts = Counter(part_of(f"HAM_{number:07}") for number in range(20000))
    assert parts[Part.TUNE] / 20000 == pytest.approx(data.PART_SHARE, abs=0.01)
    assert parts[Part.TEST] / 20000 == pytest.approx(data.PART_SHARE, abs=0.01)


def test_no_lesion_is_in_two_parts(ham10000):
    with (ham10000 / "HAM10000_metadata.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    images: dict[Part, set[str]] = {part: set() for part in Part}
    lesions: dict[Part, set[str]] = {part: set() for part in Part}
    for row in rows:
        part = part_of(row["lesion_id"])
        images[part].add(row["image_id"])
        lesions[part].add(row["lesion_id"])
    assert sum(map(len, images.values())) == len(rows)
    assert not lesions[Part.TRAIN] & lesions[Part.TUNE]
    assert not lesions[Part.TRAIN] & lesions[Part.TEST]
    assert not lesions[Part.TUNE] & lesions[Part.TEST]


def test_a_part_takes_whole_lesions(tmp_path):
    examples = data.load_ham10000(write_ham10000(tmp_path, ["images_200x150"], (150, 200)))
    parts = [examples.part(part) for part in Part]
    assert sum(map(len, parts)) == 3
    joined = data.concatenate(parts)
    assert sorted(joined.image_ids) == sorted(examples.image_ids)


def test_outside_pictures_are_the_same_each_time():
    kinds = outside.TRAINED_KINDS | outside.HELD_OUT_KINDS
    first, second = outside.drawn(kinds, 2, 5), outside.drawn(kinds, 2, 5)
    assert first.shape == (2 * len(kinds), 150, 200, 3)
    assert np.array_equal(first, second)
    assert not set(outside.TRAINED_KINDS) & set(outside.HELD_OUT_KINDS)
    assert set(outside.as_examples(first).labels) == {-1}


def test_a_fifth_of_the_natural_images_is_held_out(tmp_path):
    for number in range(10):
        pixels = draw_lesion(160, 260, seed=number)
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg", quality=100)
    trained, held_out = outside.natural(tmp_path, False), outside.natural(tmp_path, True)
    assert (len(trained), len(held_out)) == (8, 2)
    assert not any(np.array_equal(one, other) for one in trained for other in held_out)


def test_scenes_are_made_of_skin_without_lesion_and_of_small_lesions():
    frames = np.stack([draw_lesion(*data.FRAME, seed=number) for number in range(6)])
    masks = np.zeros((6, *data.FRAME), bool)
    masks[:3, 60:90, 80:120] = True
    masks[3:] = True  # a lesion that leaves no corner free
    some = replace(outside.as_examples(frames), masks=masks, masked=np.ones(6, bool))
    skins = scenes.margins(some, 10, seed=1)
    assert 1 <= len(skins) <= 3
    others = np.zeros((2, *data.FRAME, 3), np.uint8)
    afar = scenes.from_afar(skins, some, others, 8, seed=1)
    assert afar.shape == (8, *data.FRAME, 3)
    assert (afar.mean(axis=(1, 2, 3)) > 20).all()  # some skin in each
    assert np.array_equal(afar, scenes.from_afar(skins, some, others, 8, seed=1))
    assert not len(scenes.margins(some.take(np.arange(3, 6)), 10, seed=1))
