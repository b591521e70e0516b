"""What is rejected of an uploaded archive, and why."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zipfile
from datetime import date

import pytest

from screening.batches import archives
from screening.batches.archives import opened
from screening.batches.manifests import Manifest
from screening.errors import ArchiveRefused, PictureRefused
from tests.batches.uploads import as_json_lines, drawn, inline, zipped

CSV = {"m.csv": b"image\na.jpg\n"}


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


def encrypted() -> bytes:
    """The encryption flag, in the header and in the directory."""
    data = bytearray(zipped({**CSV, "a.jpg": drawn(1)}))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(signature)
        data[place + at] |= 1
    return bytes(data)


def twice() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for name in ("m.csv", "a.jpg", "a.jpg"):
            archive.writestr(name, CSV["m.csv"])
    return file.getvalue()


REFUSED = {
    "traversal": (zipped({**CSV, "../../a.jpg": b"x"}), "leads out of the archive"),
    "backslashes": (zipped({**CSV, "..\\a.jpg": b"x"}), "leads out of the archive"),
    "absolute": (zipped({**CSV, "/etc/passwd": b"x"}), "leads out of the archive"),
    "drive": (zipped({**CSV, "C:/a.jpg": b"x"}), "leads out of the archive"),
    "link": (zipped({**CSV, link("a.jpg"): b"/etc/passwd"}), "it is a link"),
    "encrypted": (encrypted(), "without a password"),
    "nested": (zipped({**CSV, "more.zip": zipped(CSV)}), "an archive in the archive"),
    "nested tar": (zipped({**CSV, "more.tar.gz": b"x"}), "an archive in the archive"),
    "bzip2": (zipped(CSV, zipfile.ZIP_BZIP2), "compressed in an unusual way"),
    "no manifest": (zipped({"a.jpg": drawn(1)}), "holds no manifest"),
    "two manifests": (zipped({**CSV, "n.jsonl": b"{}"}), "more than one manifest"),
    "bomb": (zipped({**CSV, "a.jpg": bytes(5_000_000)}, zipfile.ZIP_DEFLATED), "a bomb?"),
    "cut off": (zipped({**CSV, "a.jpg": drawn(1)})[:-30], "damaged or was cut off"),
    "another kind": (b"7z\xbc\xaf\x27\x1c" + bytes(50), "Pack it as a ZIP"),
    "empty": (b"", "empty"),
    "something else": (b"image,sex\na.jpg,male\n", "neither a ZIP nor JSON lines"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_the_reason(name):
    data, reason = REFUSED[name]
    with pytest.raises(ArchiveRefused, match=reason.replace("?", r"\?")):
        opened(io.BytesIO(data))


# The name in the archive, and the name in the manifest.
COMPOSED, DECOMPOSED = "für Ä.jpg", "fu\u0308r A\u0308.jpg"
FOUND = {
    "of a Mac": (DECOMPOSED, COMPOSED),
    "of a Mac, both": (DECOMPOSED, DECOMPOSED),
    "manifest of a Mac": (COMPOSED, DECOMPOSED),
    "of a Mac, in a folder": (f"{DECOMPOSED[:5]}/{DECOMPOSED}", COMPOSED),
    "of a Mac, other case and no ending": (DECOMPOSED, "FÜR Ä"),
    "of old Windows": ("pictures\\a.jpg", "a.jpg"),
    "of old Windows, with its folder": ("pictures\\a.jpg", "pictures/a.jpg"),
    "of old Windows, both": ("pictures\\a.jpg", "pictures\\a.jpg"),
    "of old Windows, with its whole path": ("pictures\\a.jpg", "C:\\skin\\pictures\\a.jpg"),
    "plain": ("pictures/a.jpg", "pictures\\a.jpg"),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_picture_is_found_however_its_name_is_written(name):
    entry, named = FOUND[name]
    upload = opened(io.BytesIO(zipped({**CSV, entry: b"x"})))
    assert upload.picture(upload.find(named), None) == b"x"


def test_a_name_in_utf_8_that_does_not_say_so_is_found():
    """As in archives by the Mac's Finder."""
    data = bytearray(zipped({**CSV, DECOMPOSED: b"x"}))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.rindex(signature) + at
        data[place : place + 2] = bytes(2)
    upload = opened(io.BytesIO(bytes(data)))
    assert upload.picture(upload.find(COMPOSED), None) == b"x"
    assert upload.picture(upload.find(DECOMPOSED), None) == b"x"


def test_a_manifest_and_litter_are_known_behind_backslashes():
    names = ("skin\\m.csv", "skin\\a.jpg", "__MACOSX\\skin\\._m.csv", "skin\\.hidden.csv")
    upload = opened(io.BytesIO(zipped(dict.fromkeys(names, b"image\na.jpg\n"))))
    assert list(upload.lines(upload.manifests[0])) == [(None, b"image\n"), (None, b"a.jpg\n")]
    assert upload.find("a.jpg") == "skin\\a.jpg"


@pytest.mark.parametrize(
    "names", [("a/b.jpg", "a\\b.jpg"), (COMPOSED, DECOMPOSED)], ids=["slashes", "accents"]
)
def test_one_name_written_in_two_ways_is_there_twice(names):
    with pytest.raises(ArchiveRefused, match="twice"):
        opened(io.BytesIO(zipped(CSV | dict.fromkeys(names, b"x"))))


def test_one_name_twice_is_refused():
    with pytest.raises(ArchiveRefused, match="twice"):
        opened(io.BytesIO(twice()))


def test_too_many_files_are_refused(monkeypatch):
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    with pytest.raises(ArchiveRefused, match="more than 3 files"):
        opened(io.BytesIO(zipped({**CSV, **{f"{n}.jpg": b"x" for n in range(3)}})))


def test_a_directory_without_end_is_refused_before_it_is_read():
    data = zipped({**CSV, "a.jpg": drawn(1)})
    place = data.rindex(b"PK\x05\x06")
    end = bytearray(data[place:])
    end[12:16] = struct.pack("<I", 900_000_000)
    tracemalloc.start()
    with pytest.raises(ArchiveRefused):
        opened(io.BytesIO(data[:place] + bytes(900_000_000 // 1000) + bytes(end)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def lying(size: int) -> bytes:
    """An entry that unpacks to 5 MB of one colour, and claims ``size`` bytes."""
    data = bytearray(zipped({"a.jpg": bytes(5_000_000)} | CSV, zipfile.ZIP_DEFLATED))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.index(signature)
        data[place + at : place + at + 4] = struct.pack("<I", size)
    return bytes(data)


def test_a_header_that_lies_brings_no_more_than_it_says():
    with opened(io.BytesIO(lying(1000))) as upload, pytest.raises(PictureRefused, match="damaged"):
        upload.picture("a.jpg", None)


def test_sizes_are_counted_while_reading(monkeypatch):
    """If the directory is wrongly trusted, the reader still stops."""
    monkeypatch.setattr(archives, "_require_honest", lambda *entries: None)
    bomb = zipped({**CSV, "a.jpg": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    with opened(io.BytesIO(bomb)) as upload, pytest.raises(PictureRefused, match="a bomb"):
        upload.picture("a.jpg", None)
    large = zipped({**CSV, "a.jpg": bytes(21_000_000)})
    with opened(io.BytesIO(large)) as upload, pytest.raises(PictureRefused, match="20 MB"):
        upload.picture("a.jpg", None)


def test_a_picture_that_is_an_archive_is_refused():
    data = io.BytesIO(zipped({**CSV, "a.jpg": zipped(CSV)}))
    with opened(data) as upload, pytest.raises(PictureRefused, match="an archive itself"):
        upload.picture("a.jpg", None)


def test_pictures_are_found_as_manifests_name_them():
    entries = {
        "set/m.csv": b"image\n",
        "set/a.jpg": b"1",
        "set/x/b.JPG": b"2",
        "c.png": b"3",
        "x/c.png": b"4",
        "__MACOSX/._a.jpg": b"5",
        "set/.DS_Store": b"6",
    }
    with opened(io.BytesIO(zipped(entries))) as upload:
        assert upload.find("a.jpg") == "set/a.jpg"
        assert upload.find("a") == "set/a.jpg"
        assert upload.find("B.jpg") == "set/x/b.JPG"
        assert upload.find("x\\b.JPG") == "set/x/b.JPG"
        assert upload.find("c.png") == "c.png"
        with pytest.raises(PictureRefused, match=r"could be c.png or x/c.png"):
            upload.find("C.png")
        with pytest.raises(PictureRefused, match="holds no “d”"):
            upload.find("d")
        with pytest.raises(PictureRefused, match="leads out"):
            upload.find("../a.jpg")


def test_json_lines_have_their_pictures_in_them():
    lines = as_json_lines([{"image_base64": inline(drawn(n))} for n in (1, 2)] + [{"age": 1}])
    with opened(io.BytesIO(lines)) as upload:
        offsets = [offset for offset, _ in upload.lines(upload.manifests[0])]
        assert [upload.picture("", offset) for offset in offsets[:2]] == [drawn(1), drawn(2)]
        with pytest.raises(PictureRefused, match="no base64"):
            upload.picture("", offsets[2])


def test_a_line_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(archives, "MAX_LINE_BYTES", 100)
    with (
        opened(io.BytesIO(b"{" + b" " * 200)) as upload,
        pytest.raises(ArchiveRefused, match="line"),
    ):
        list(upload.lines(upload.manifests[0]))


def test_a_manifest_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(archives, "MAX_MANIFEST_BYTES", 1000)
    data = io.BytesIO(zipped({"m.csv": b"image\n" * 200}))
    with opened(data) as upload, pytest.raises(ArchiveRefused, match="is larger than"):
        list(upload.lines(upload.manifests[0]))


def test_a_damaged_header_is_a_refusal_whatever_zipfile_makes_of_it():
    """Each byte corrupted, one at a time, and the ZIP truncated at any length."""
    data = zipped({"m.csv": b"image\na.jpg\n", "a.jpg": b"x" * 40})
    spoilt = [data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :] for at in range(len(data))]
    refused = 0
    for one in (*spoilt, *(data[:length] for length in range(1, len(data)))):
        try:
            upload = opened(io.BytesIO(one))
            list(upload.lines(upload.manifests[0]))
            upload.picture(upload.find("a.jpg"), None)
        except (ArchiveRefused, PictureRefused):
            refused += 1
    assert refused > len(data)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_any_spreadsheet_ends_them(end):
    rows = [["image", "lesion_id"], ["a.jpg", "L1"], ["b.jpg", '"L, 2"']]
    text = end.join(",".join(row) for row in rows)
    upload = opened(io.BytesIO(zipped({"m.csv": text.encode(), "a.jpg": b"x", "b.jpg": b"y"})))
    manifest = Manifest(upload, captured_on=date(2026, 1, 1), day_is_told=True, own=False)
    assert [(entry.number, entry.row.lesion) for entry in manifest.entries()] == [
        (2, "L1"),
        (3, "L, 2"),
    ]


def test_a_manifest_that_is_one_long_line_is_read_in_no_time():
    lines = b"image\r" + b"".join(b"a%07d.jpg\r" % n for n in range(1_000_000))
    upload = opened(io.BytesIO(zipped({"m.csv": lines, "a.jpg": b"x"})))
    started = time.process_time()
    assert len(list(upload.lines(upload.manifests[0]))) == 1
    assert time.process_time() - started < 5


def test_a_header_that_is_no_csv_is_refused():
    upload = opened(io.BytesIO(zipped({"m.csv": b'image,"a\n' + b"x" * 200_000, "a.jpg": b"x"})))
    with pytest.raises(ArchiveRefused):
        list(Manifest(upload, captured_on=date(2026, 1, 1), day_is_told=True, own=False).entries())


CELLS = b"ab," * 400_000


@pytest.mark.parametrize(
    "manifest",
    [
        {"m.csv": b"image," + CELLS},
        {"m.csv": b"image\r\na.jpg," + CELLS},
        {"m.csv": b"image\na.jpg" + b',"x\n"' * 200_000},
        {"m.jsonl": b'{"image": [' + b"{}," * 400_000 + b"{}]}"},
    ],
    ids=["columns", "cells", "a row in quotes", "JSON"],
)
def test_a_row_that_unpacks_to_far_more_in_memory_is_refused(manifest):
    """Of 1.2 MB, which may be fifty: each cell would take 50 bytes, and each object 60."""
    upload = opened(io.BytesIO(zipped({**manifest, "a.jpg": b"x"})))
    read = Manifest(upload, captured_on=date(2026, 1, 1), day_is_told=True, own=False)
    tracemalloc.start()
    try:
        try:
            problems = [entry.row.problems for entry in read.entries()]
        except ArchiveRefused:
            problems = [["refused"]]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert all(problems)
    assert peak < 12_000_000
