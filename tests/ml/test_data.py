"""The data on disk, in the layouts that users have, and its split."""

import csv
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ml.training import data, outside, scenes
from ml.training.data import Part, Source, part_of
from ml.training.packed import Material, pack, unpack
from ml.training.sources import Sources
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
    assert examples.pixels.shape == (3, *data.FRAME, 3)
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
    assert examples.pixels.shape == (1, *data.FRAME, 3)
    assert examples.known[0].localization is None
    assert list(examples.lesions) == ["ISIC_9"]


def test_missing_data_is_named(tmp_path):
    with pytest.raises(ValueError, match="metadata"):
        data.load_ham10000(tmp_path)
    write_ham10000(tmp_path, ["images_200x150"], (150, 200))
    (tmp_path / "images_200x150" / "ISIC_2.jpg").unlink()
    with pytest.raises(ValueError, match="ISIC_2"):
        data.load_ham10000(tmp_path)


MILK10K_COLUMNS = [
    "image_id",
    "lesion_id",
    "image_type",
    "dx",
    "age",
    "sex",
    "localization",
    "also",
]


def write_milk10k(folder):
    rows = []
    for number, (dx, also) in enumerate([("akiec", ""), ("", ""), ("mel", "ISIC_0 ISIC_2")]):
        for kind in ("dermoscopic", "clinical"):
            name = f"{kind}_{number}"
            rows.append([name, f"IL_{number}", kind, dx, "55", "male", "trunk", also])
            (folder / kind).mkdir(exist_ok=True)
            pixels = draw_lesion(225, 300, seed=number)
            Image.fromarray(pixels).save(folder / kind / f"{name}.webp")
    write_rows(folder / "metadata.csv", MILK10K_COLUMNS, rows)
    return folder


def test_milk10k_names_lesions_of_ham10000_by_their_names_there(tmp_path):
    folder = write_milk10k(tmp_path)
    examples = data.load_milk10k(folder, {"ISIC_2": "HAM_0000009"})
    assert list(examples.lesions) == ["IL_0", "IL_1", "HAM_0000009"]
    assert list(examples.labels) == [0, -1, 4]
    assert set(examples.sources) == {Source.MILK10K}
    closeups = data.load_milk10k(folder, {}, closeups=True)
    assert list(closeups.image_ids) == ["clinical_0", "clinical_1", "clinical_2"]
    assert set(closeups.labels) == {-1}
    assert set(closeups.sources) == {Source.OUTSIDE}


def test_what_is_judged_has_a_diagnosis_and_stands_in_one_source_alone(tmp_path, monkeypatch):
    (tmp_path / "ham").mkdir()
    (tmp_path / "milk").mkdir()
    ham10000 = write_ham10000(tmp_path / "ham", ["images_200x150"], (150, 200))
    sources = Sources(ham10000, milk10k=write_milk10k(tmp_path / "milk"))
    monkeypatch.setattr(data, "part_of", lambda lesion: Part.TEST)
    judged = sources.judging(Part.TEST)
    assert list(judged[Source.MILK10K].image_ids) == ["dermoscopic_0"]
    assert len(judged[Source.HAM10000]) == 3
    monkeypatch.setattr(data, "part_of", lambda lesion: Part.TRAIN)
    train = sources.train()
    assert list(train.image_ids[3:]) == ["dermoscopic_0", "dermoscopic_2"]
    others = outside.as_examples(train.pixels[:0])
    alone = Material(train, {}, others).without(("MILK10K",))
    assert set(alone.sources) == {Source.HAM10000}


def test_what_is_packed_comes_out_again_but_for_a_little_detail(tmp_path, monkeypatch):
    ham10000 = write_ham10000(tmp_path, ["images_200x150"], (150, 200))
    (tmp_path / "masks").mkdir()
    mask = np.zeros((450, 600), np.uint8)
    mask[100:300, 200:400] = 255
    Image.fromarray(mask).save(tmp_path / "masks" / "ISIC_2_segmentation.png")
    examples = data.load_ham10000(ham10000)
    others = outside.as_examples(examples.pixels[:1], "natural")
    pack(Material(examples, {Source.HAM10000: examples}, others), tmp_path / "packed.npz")
    found = unpack(tmp_path / "packed.npz")
    assert list(found.tune) == [Source.HAM10000]
    for name in (
        "labels",
        "sources",
        "lesions",
        "image_ids",
        "masks",
        "masked",
        "context",
        "tones",
    ):
        assert np.array_equal(getattr(found.train, name), getattr(examples, name)), name
    assert found.train.known == examples.known
    loss = np.abs(found.train.pixels.astype(int) - examples.pixels).mean()
    assert loss < 8
    assert list(found.others.kinds) == ["natural"]
    assert (tmp_path / "packed.npz").stat().st_size < 100_000
    (tmp_path / "other.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="holds no packed images"):
        unpack(tmp_path / "other.npz")


def test_finer_squares_lie_on_the_same_share_of_each_diagnosis(tmp_path):
    write_ham10000(tmp_path, ["images_200x150"], (150, 200))
    plain = data.load_ham10000(tmp_path)
    (tmp_path / "images_224").mkdir()
    for name in ("ISIC_1", "ISIC_2"):
        Image.new("RGB", (224, 224), "blue").save(tmp_path / "images_224" / f"{name}.jpg")
    refined = data.load_ham10000(tmp_path)
    changed = (plain.pixels != refined.pixels).any(axis=(1, 2, 3))
    assert changed.sum() == 1  # two melanomas at 0.4: one; one vascular lesion: none
    row = int(np.flatnonzero(changed)[0])
    assert (refined.pixels[row, :, 32:224, 2] > 200).all()
    assert np.array_equal(refined.pixels[row, :, :32], plain.pixels[row, :, :32])


def test_the_split_depends_on_the_lesion_alone():
    assert {part_of("HAM_0000118") for _ in range(3)} == {part_of("HAM_0000118")}
    parts = Counter(part_of(f"IL_{number:07}") for number in range(20000))
    assert parts[Part.TUNE] / 20000 == pytest.approx(data.TUNE_SHARE, abs=0.01)
    assert parts[Part.TEST] / 20000 == pytest.approx(data.TEST_SHARE, abs=0.01)


def test_what_earlier_networks_learnt_from_stays_in_the_training_part():
    names = [f"HAM_{number:07}" for number in range(20000)]
    learnt = [data.position(data.OLD_SEED, name) >= data.OLD_TRAIN_FROM for name in names]
    parts = [part_of(name) for name in names]
    for part, was in zip(parts, learnt, strict=True):
        assert part is Part.TRAIN or not was
    others = Counter(part for part, was in zip(parts, learnt, strict=True) if not was)
    assert others[Part.TUNE] / 3400 == pytest.approx(0.5, abs=0.03)
    assert others[Part.TRAIN] <= len(data.SAME_LESIONS)


def test_no_lesion_is_in_two_parts_under_any_of_its_names(ham10000, milk10k):
    """Lesions are joined where MILK10k's `also` says that they are one: union-find."""
    lesions = data.lesions_of_images(ham10000)
    with (milk10k / "metadata.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    joined = {name: name for name in [*lesions.values(), *(row["lesion_id"] for row in rows)]}

    def root(name: str) -> str:
        while joined[name] != name:
            name = joined[name]
        return name

    for row in rows:
        for image in row["also"].split():
            joined[root(lesions[image])] = root(row["lesion_id"])
    parts: dict[str, set[Part]] = {}
    for name in set(lesions.values()):
        parts.setdefault(root(name), set()).add(part_of(name))
    for row in rows:
        names = [lesions[image] for image in row["also"].split()] or [row["lesion_id"]]
        parts.setdefault(root(row["lesion_id"]), set()).add(part_of(min(names)))
    assert max(map(len, parts.values())) == 1
    assert {part for found in parts.values() for part in found} == set(Part)


def test_a_part_takes_whole_lesions(tmp_path):
    examples = data.load_ham10000(write_ham10000(tmp_path, ["images_200x150"], (150, 200)))
    parts = [examples.part(part) for part in Part]
    assert sum(map(len, parts)) == 3
    joined = data.concatenate(parts)
    assert sorted(joined.image_ids) == sorted(examples.image_ids)


def test_outside_pictures_are_the_same_each_time():
    kinds = outside.TRAINED_KINDS | outside.HELD_OUT_KINDS
    first, second = outside.drawn(kinds, 2, 5), outside.drawn(kinds, 2, 5)
    assert first.shape == (2 * len(kinds), *data.FRAME, 3)
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
