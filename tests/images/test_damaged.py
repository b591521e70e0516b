"""A stored picture that was damaged is reported as missing, wherever it is requested."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from django.core.files.base import ContentFile
from PIL import Image

from ml.opening.pictures import load_pixels
from screening.interop.dicom import uids
from screening.measurements.masks import pixels_of
from screening.measurements.queries import NotOpened
from screening.models import LesionImage
from screening.operations.transience import is_transient
from tests.clients import Browser
from tests.factories import LesionImageFactory

pytestmark = pytest.mark.any_database

Damage = Callable[[bytes, random.Random], bytes]
SIZE = (240, 180)
TRIES = 12
PARTS = ("", "/metadata", "/rendered", "/frames/1")


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(8, len(data))]


def flipped(data: bytes, chance: random.Random, within: int | None = None) -> bytes:
    at = chance.randrange(8, within or len(data))
    return data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]


def flipped_head(data: bytes, chance: random.Random) -> bytes:
    return flipped(data, chance, 60)


def longer(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(8, len(data))
    return data[:at] + chance.randbytes(16) + data[at:]


def zeroed(data: bytes, chance: random.Random) -> bytes:
    return bytes(len(data))


def emptied(data: bytes, chance: random.Random) -> bytes:
    return b""


DAMAGES: list[Damage] = [cut, flipped, flipped_head, longer, zeroed, emptied]
damaged = pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
stored_as = pytest.mark.parametrize("extension", ["png", "jpg"])


def picture(extension: str) -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, {"png": "PNG", "jpg": "JPEG"}[extension])
    return buffer.getvalue()


@pytest.fixture
def image(personas: Any, settings: Any, tmp_path: Path, extension: str) -> LesionImage:
    settings.MEDIA_ROOT = tmp_path
    return LesionImageFactory(
        lesion__patient=personas.patient,
        file=ContentFile(picture(extension), name=f"image.{extension}"),
        width=SIZE[0],
        height=SIZE[1],
    )


def all_damages(image: LesionImage, damage: Damage) -> Iterator[None]:
    """Damage both stored files in one way after the other."""
    chance = random.Random(2)
    paths = Path(image.file.path), Path(image.thumbnail.path)
    whole = paths[0].read_bytes()
    for _ in range(1 if damage in (zeroed, emptied) else TRIES):
        data = damage(whole, chance)
        for path in paths:
            path.write_bytes(data)
        yield


def of_dicomweb(image: LesionImage) -> str:
    study = uids.study_uid(image.lesion.patient_id, image.captured_on)
    series = uids.series_uid(image.lesion_id, image.captured_on, image.modality)
    return f"/dicomweb/studies/{study}/series/{series}/instances/{uids.uid_of(image.pk)}"


@damaged
@stored_as
def test_what_cannot_be_decoded_is_an_error_of_the_file(damage, extension):
    chance, whole = random.Random(3), picture(extension)
    for _ in range(TRIES * 4):
        try:
            load_pixels(BytesIO(damage(whole, chance)))
        except OSError as error:
            assert not is_transient(error)


def test_a_size_beyond_all_limits_is_not_decoded():
    """It is rejected by its header, before memory is allocated."""
    whole = picture("png")
    header = whole[12:16] + (12_000).to_bytes(4, "big") * 2 + whole[24:29]
    checked = header + crc32(header).to_bytes(4, "big")
    with pytest.raises(OSError, match=r"Invalid|Bomb"):
        load_pixels(BytesIO(whole[:12] + checked + whole[33:]))


def test_an_error_of_the_storage_stays_one():
    class Away(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        load_pixels(Away())


@pytest.mark.django_db
@damaged
@stored_as
def test_every_address_of_a_picture_still_answers(damage, image, personas):
    browser = Browser(raise_request_exception=False)
    browser.force_login(personas.admin)
    assert all(browser.get(of_dicomweb(image) + part).status_code == 200 for part in PARTS)
    addresses = (
        f"/images/{image.pk}/dicom/",
        f"/lesions/{image.lesion_id}/report/",
        f"/patients/{personas.patient.pk}/report/",
        f"/media/{image.pk}/image",
        f"/media/{image.pk}/thumbnail",
        f"/api/v1/images/{image.pk}/dicom/",
        *(of_dicomweb(image) + part for part in PARTS),
        f"/images/{image.pk}/",
        f"/lesions/{image.lesion_id}/",
    )
    for n, _ in enumerate(all_damages(image, damage)):
        for address in addresses if n < 2 else addresses[:2]:
            response = browser.get(address)
            assert response.status_code in (200, 404), (address, response.status_code)
            if response.streaming:
                b"".join(response.streaming_content)
        with suppress(NotOpened):
            pixels_of(image)


@pytest.mark.django_db
@pytest.mark.parametrize("extension", ["png"])
def test_as_dicom_it_is_missing(image, personas, caplog):
    browser = Browser()
    browser.force_login(personas.admin)
    assert browser.get(f"/images/{image.pk}/dicom/").status_code == 200
    for _ in all_damages(image, cut):
        assert browser.get(f"/images/{image.pk}/dicom/").status_code == 404
    assert "missing or damaged" in caplog.text
