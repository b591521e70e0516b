"""Archives as people and other programs create them."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from base64 import b64encode
from functools import cache
from typing import Any

from screening.images import synthetic


@cache
def drawn(seed: int) -> bytes:
    """A small synthetic lesion; each seed gives another picture."""
    return synthetic.jpeg(synthetic.draw_lesion(seed=seed, size=(160, 120)))


def small() -> bytes:
    """A picture with fewer pixels than the minimum."""
    return synthetic.jpeg(synthetic.draw_lesion(seed=1, size=(40, 40)))


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_json_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def inline(picture: bytes) -> str:
    return b64encode(picture).decode()


def zipped(
    entries: dict[str | zipfile.ZipInfo, bytes], compress: int = zipfile.ZIP_STORED
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def batch_of(rows: list[dict[str, Any]], pictures: dict[str, bytes]) -> bytes:
    return zipped({"metadata.csv": as_csv(rows), **pictures})


def many(count: int, first: int = 0) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Good rows as ISIC writes them, and their pictures: two images of each lesion."""
    rows, pictures = [], {}
    for n in range(first, first + count):
        name = f"ISIC_{n:07}.jpg"
        pictures[f"images/{name}"] = drawn(n)
        rows.append(
            {
                "isic_id": name.removesuffix(".jpg"),
                "patient_id": f"IP_{n // 4:07}",
                "lesion_id": f"IL_{n // 2:07}",
                "age_approx": 45 + n // 4 % 30,
                "sex": ("female", "male")[n // 4 % 2],
                "anatom_site_general": "posterior torso",
                "image_type": "dermoscopic",
            }
        )
    return rows, pictures


# Each fault of a row, with the column and part of the reason reported.
BAD = [
    ({"isic_id": "missing"}, "isic_id", "The archive holds no “missing”."),
    ({"isic_id": ""}, "isic_id", "No picture is named."),
    ({"isic_id": "text"}, "image", "This is not a JPEG, PNG"),
    ({"isic_id": "half"}, "image", "damaged or was cut off"),
    ({"isic_id": "tiny"}, "image", "Each side needs at least 64."),
    ({"isic_id": "nested"}, "image", "an archive itself"),
    ({"age_approx": "old"}, "age_approx", "“old” is no age"),
    ({"age_approx": "170"}, "age_approx", "is no age"),
    ({"sex": "fem"}, "sex", "neither female, male nor unknown"),
    ({"anatom_site_general": "tail"}, "anatom_site_general", "no body site"),
    ({"captured_on": "12.3.2026"}, "captured_on", "Write it as 2026-03-12."),
    ({"captured_on": "2026-02-30"}, "captured_on", "“2026-02-30” is no day."),
    ({"captured_on": "2999-01-01"}, "captured_on", "lies in the future"),
    ({"age_approx": "", "birth_year": "2050"}, "birth_year", "2050 lies in the future"),
    ({"age_approx": "", "birth_year": "1905"}, "birth_year", "120 years at most"),
    (
        {"age_approx": "", "birth_year": "2000", "captured_on": "1999-05-05"},
        "birth_year",
        "before the patient's birth in 2000",
    ),
    ({"image_type": "RCM: tile"}, "image_type", "no kind of picture"),
    ({"fitzpatrick_skin_type": "VII"}, "fitzpatrick_skin_type", "no skin type"),
    ({"isic_id": "ISIC_0000000"}, "image", "The same file as in row 2."),
    ({"patient_id": "other", "lesion_id": "IL_0000000"}, "lesion_id", "of patient “IP_0000000”"),
    ({"patient_id": "IP_0000000", "sex": "male"}, "sex", "has sex “female” in row 2"),
    ({"patient_id": "IP_0000000", "age_approx": "85"}, "age", "was born about"),
    ({"dx": "wart"}, "dx", "no diagnosis of HAM10000"),
    ({"mel_thick_mm": "1.2", "dx": "nv"}, "mel_thick_mm", "Only a melanoma"),
]
SPOILT = {
    "text.jpg": b"no picture at all",
    "half.jpg": drawn(900)[:2000],
    "tiny.jpg": small(),
    "nested.jpg": zipped({"a": b"b"}),
}


def mixed(good: int) -> bytes:
    """Good rows, followed by one of each kind of bad ones."""
    rows, pictures = many(good)
    for n, (wrong, _, _) in enumerate(BAD):
        own = {"isic_id": f"own{n}", "patient_id": f"B{n}", "lesion_id": f"B{n}", "sex": "female"}
        pictures[f"images/own{n}.jpg"] = drawn(1000 + n)
        rows.append({**own, **wrong})
    return batch_of(rows, pictures | SPOILT)
