"""python -m ml predict, as another program calls it."""

import csv

import numpy as np
import pytest
from PIL import Image

from ml.__main__ import main
from ml.predict import COLUMNS
from tests.ml.conftest import draw_lesion

NUMBERS = COLUMNS[1:9]  # the calibrated ones


def write_manifest(folder, lines: list[str], name: str = "in.csv"):
    manifest = folder / name
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def predict(folder, lines: list[str]) -> list[dict[str, str]]:
    out = folder / "out.csv"
    manifest = write_manifest(folder, lines)
    assert main(["predict", "--manifest", str(manifest), "--out", str(out)]) == 0
    with out.open(newline="", encoding="utf-8") as opened:
        rows = csv.DictReader(opened)
        assert tuple(rows.fieldnames) == COLUMNS
        return list(rows)


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        pixels = draw_lesion(150, 200, radius=0.1 + 0.1 * number, seed=number)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def test_the_columns_are_as_agreed():
    assert ",".join(COLUMNS) == (
        "image,p_akiec,p_bcc,p_bkl,p_df,p_mel,p_nv,p_vasc,p_malignant,"
        "b_akiec,b_bcc,b_bkl,b_df,b_mel,b_nv,b_vasc,in_distribution,outcome,reason,error"
    )


def test_masks_are_written_at_each_images_size(folder):
    Image.fromarray(draw_lesion(300, 460)).save(folder / "größer.png")
    manifest = write_manifest(folder, ["image", "0.png", "größer.png", "nothing.png"])
    arguments = ["--manifest", str(manifest), "--out", str(folder / "out.csv")]
    assert main(["predict", *arguments, "--masks", str(folder / "new" / "masks")]) == 0
    written = sorted((folder / "new" / "masks").iterdir())
    assert [file.name for file in written] == ["0.png", "größer.png"]
    for file, size in zip(written, [(200, 150), (460, 300)], strict=True):
        with Image.open(file) as mask:
            assert mask.size == size
            assert set(np.unique(np.asarray(mask))) <= {0, 255}


def test_each_row_is_answered_in_order(folder):
    names = ["2.png", "0.png", "nothing.png", "1.png", "0.png"]
    rows = predict(folder, ["image", *names])
    assert [row["image"] for row in rows] == names
    assert rows[1] == rows[4]
    for number in (0, 1, 3, 4):
        values = [float(rows[number][column]) for column in NUMBERS]
        assert sum(values[:7]) == pytest.approx(1, abs=1e-5)
        assert values[7] == pytest.approx(values[0] + values[1] + values[4], abs=1e-5)
        assert rows[number]["outcome"]
        assert not rows[number]["error"]


def test_a_row_that_cannot_be_read_keeps_its_place(folder):
    (folder / "text.jpg").write_text("no image")
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    rows = predict(
        folder,
        [
            "age,image,sex,localization",
            ",nothing.png,,",
            ",text.jpg,,",
            ",cut.png,,",
            ",,male,",
            "old,0.png,,",
            ",0.png,male,knee",
            ",1.png,male,back",
            f",{'x' * 400}.png,,",
            ",.,,",
        ],
    )
    assert [bool(row["error"]) for row in rows] == [True] * 6 + [False] + [True] * 2
    for row in rows:
        if row["error"]:
            assert not any(row[column] for column in COLUMNS[1:-1])
    assert "age" in rows[4]["error"]
    assert "localization" in rows[5]["error"]


def test_context_is_taken_into_account(folder):
    rows = predict(
        folder,
        ["image,age,sex,localization", "0.png,80,male,face", "0.png,unknown,,unknown", "0.png,,,"],
    )
    assert rows[0]["p_nv"] != rows[1]["p_nv"]
    assert rows[1] == rows[2]


def test_names_in_any_script_and_absolute_paths_are_found(folder, monkeypatch):
    name = 'läsion 痣, "a".png'
    (folder / "0.png").rename(folder / name)
    quoted = '"' + name.replace('"', '""') + '"'
    rows = predict(folder, ["image", quoted, str(folder / "1.png")])
    assert [row["error"] for row in rows] == ["", ""]
    assert rows[0]["image"] == name


def test_a_path_may_start_from_the_current_directory(folder, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(folder)
    assert [row["error"] for row in predict(elsewhere, ["image", "1.png"])] == [""]


def test_pictures_of_every_size_and_mode_are_answered(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(draw_lesion(150, 200)).save(folder / "turned.jpg", exif=exif)
    Image.fromarray(draw_lesion(30, 40)).save(folder / "tiny.png")
    Image.fromarray(draw_lesion(3000, 4000)).save(folder / "huge.jpg")
    Image.fromarray(draw_lesion(150, 200)).convert("RGBA").save(folder / "rgba.png")
    Image.fromarray(draw_lesion(150, 200)).convert("L").save(folder / "grey.png")
    Image.fromarray(draw_lesion(150, 200)[..., 0].astype(np.uint16) * 200).save(folder / "16.png")
    Image.new("1", (9000, 9000)).save(folder / "monster.png")
    names = ["turned.jpg", "tiny.png", "huge.jpg", "rgba.png", "grey.png", "16.png", "monster.png"]
    rows = predict(folder, ["image", *names])
    assert [bool(row["error"]) for row in rows] == [False] * 6 + [True]
    assert (rows[1]["outcome"], rows[1]["reason"]) == ("not_assessable", "too_small")
    assert rows[1]["p_mel"]


def test_a_manifest_as_spreadsheets_write_it(folder):
    manifest = folder / "in.csv"
    manifest.write_bytes("\ufeffimage\r\n0.png\r\n".encode())
    out = folder / "out.csv"
    assert main(["predict", "--manifest", str(manifest), "--out", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 2


def test_an_empty_manifest_gives_an_empty_answer(folder):
    assert predict(folder, ["image"]) == []


@pytest.mark.parametrize("lines", [["file,age", "0.png,3"], [""], ["Image", "0.png"]])
def test_a_manifest_without_images_is_refused(folder, capsys, lines):
    manifest = write_manifest(folder, lines)
    out = folder / "out.csv"
    assert main(["predict", "--manifest", str(manifest), "--out", str(out)]) == 2
    assert "no column named image" in capsys.readouterr().err
    assert not out.exists()


def test_a_missing_manifest_is_said(folder, capsys):
    asked = ["predict", "--manifest", str(folder / "no.csv"), "--out", str(folder / "out.csv")]
    assert main(asked) == 2
    assert "no manifest" in capsys.readouterr().err


def test_the_manifest_is_never_overwritten(folder, capsys):
    manifest = write_manifest(folder, ["image", "0.png"])
    assert main(["predict", "--manifest", str(manifest), "--out", str(manifest)]) == 2
    assert manifest.read_text() == "image\n0.png\n"


def test_a_manifest_that_is_no_text_is_refused(folder, capsys):
    manifest = folder / "in.csv"
    manifest.write_bytes(bytes(range(128, 256)) * 10)
    out = folder / "out.csv"
    assert main(["predict", "--manifest", str(manifest), "--out", str(out)]) == 2
    assert "CSV" in capsys.readouterr().err


def test_an_unknown_model_is_said(folder, capsys):
    manifest = write_manifest(folder, ["image", "0.png"])
    asked = ["predict", "--manifest", str(manifest), "--out", str(folder / "out.csv")]
    assert main([*asked, "--version", "1999.1"]) == 2
    assert "1999.1" in capsys.readouterr().err
