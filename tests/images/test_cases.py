"""Pictures as people have them: the same result by page, API and batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from pydicom import dcmread

from accounts import services
from screening.images import cleaning
from screening.interop.dicom.writer import to_dicom
from screening.models import BatchRow, Lesion, LesionImage
from tests import cases
from tests.batches.uploads import batch_of
from tests.batches.working import upload, work_off
from tests.clients import Program
from tests.conftest import SHARED_DATA
from tests.factories import LesionFactory
from tests.interop.dicoms import dicom

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]
SHARED = SHARED_DATA.parent / "cases" / "images"


@dataclass(frozen=True)
class Right:
    """The correct result for a file. refused: part of the message; None: it is stored."""

    refused: str | None = None
    size: tuple[int, int] | None = None
    day: date | None = None
    extension: str | None = None
    seconds: float = 60


DAY = date(2024, 3, 16)
LANDSCAPE, PORTRAIT = (300, 225), (225, 300)
DRAWN: dict[str, tuple[Callable[[], bytes], Right]] = {
    "phone_mpo.jpg": (cases.mpo, Right(size=LANDSCAPE, extension="jpg")),
    "phone_mpo_turned.jpg": (
        lambda: cases.mpo(exif_block=cases.exif(6)),
        Right(size=PORTRAIT, day=DAY, extension="jpg"),
    ),
    "phone_mpo_stripped.jpg": (
        lambda: cases.mpo(stripped=True),
        Right(size=LANDSCAPE, extension="jpg"),
    ),
    "phone.heic": (
        lambda: cases.heic(exif=cases.exif(6)),
        Right(size=PORTRAIT, day=DAY, extension="jpg"),
    ),
    "phone.avif": (
        lambda: cases.heic(format="AVIF", exif=cases.exif(8)),
        Right(size=PORTRAIT, day=DAY, extension="jpg"),
    ),
    "portrait.jpg": (
        lambda: cases.encoded(cases.spot(), exif=cases.exif(6)),
        Right(size=PORTRAIT, day=DAY, extension="jpg"),
    ),
    "never_set_clock.jpg": (
        lambda: cases.encoded(cases.spot(), exif=cases.exif(taken="0000:00:00 00:00:00")),
        Right(size=LANDSCAPE),
    ),
    "clock_ahead.jpg": (
        lambda: cases.encoded(cases.spot(), exif=cases.exif(taken="2999:01:01 10:00:00")),
        Right(refused="future|Give the day"),
    ),
    "no_such_day.jpg": (
        lambda: cases.encoded(cases.spot(), exif=cases.exif(taken="2024:02:30 10:00:00")),
        Right(refused="“2024:02:30”, which is no day. Give the day"),
    ),
    "grey.jpg": (lambda: cases.encoded(cases.spot().convert("L")), Right(size=LANDSCAPE)),
    **{
        f"exif_broken.{format.lower()}": (
            lambda format=format: cases.with_exif(format, b"XX\0*\0\0\0\x08"),
            Right(size=LANDSCAPE),
        )
        for format in ("JPEG", "PNG", "WEBP", "HEIF")
    },
    "scans.jpg": (lambda: cases.many_scans(6320), Right(refused="far too many layers", seconds=2)),
    "rgba_40mp.png": (lambda: cases.png(6320, 6320), Right(size=(3160, 3160))),
    "animated.gif": (
        lambda: cases.encoded(
            cases.spot(), "GIF", save_all=True, append_images=[cases.spot().rotate(9)]
        ),
        Right(refused="a GIF file"),
    ),
    "burned_in.dcm": (
        lambda: dicom(BurnedInAnnotation="YES"),
        Right(refused="text is burned into"),
    ),
    "future.dcm": (
        lambda: dicom(AcquisitionDateTime="20300502101500"),
        Right(refused="future|Give the day"),
    ),
}
GIVEN = {
    "phone_mpo.jpg": Right(size=(600, 450), extension="jpg"),
    "phone.heic": Right(size=(600, 450), extension="jpg"),
    "portrait_2024-03-16.jpg": Right(size=(450, 600), day=DAY),
    "grey.jpg": Right(size=(600, 450)),
    "exif_broken.webp": Right(size=(600, 450)),
    "exif_broken.png": Right(size=(300, 225)),
    "two_spots.jpg": Right(size=(600, 450)),
    "scans.jpg": Right(refused="far too many layers", seconds=2),
    "rgba_40mp.png": Right(size=(3160, 3160)),
    "../exchange/derm_burnedin.dcm": Right(refused="text is burned into"),
    "../exchange/derm_future.dcm": Right(refused="future|Give the day"),
}


def by_page(user: Any, lesion: Lesion, name: str, data: bytes, client: Any) -> str | None:
    client.force_login(user)
    answer = client.post(
        reverse("image_new", args=[lesion.pk]),
        {"file": SimpleUploadedFile(name, data), "modality": "dermatoscopic"},
        headers={"accept": "application/json"},
    )
    assert answer.status_code == 200
    result = answer.json()["results"][0]
    return None if result["url"] else str(result["message"])


def by_api(user: Any, lesion: Lesion, name: str, data: bytes, client: Any) -> str | None:
    _, secret = services.create_api_key(user=user, name="test")
    body = {"lesion": str(lesion.pk), "file": SimpleUploadedFile(name, data)}
    answer = Program(secret).post("/api/v1/images/", body, format="multipart")
    assert answer.status_code in (202, 400)
    return (
        None
        if answer.status_code == 202
        else " ".join(error["detail"] for error in answer.json()["errors"])
    )


def by_batch(user: Any, lesion: Lesion, name: str, data: bytes, client: Any) -> str | None:
    row = {"image": name, "patient_id": lesion.patient.label, "lesion_id": lesion.label}
    batch = work_off(upload(user, batch_of([row], {name: data}), clinic=lesion.patient.clinic))
    told = batch.rows.get()
    assert told.state in (BatchRow.State.IMPORTED, BatchRow.State.REFUSED), batch.failure
    return None if told.state == BatchRow.State.IMPORTED else str(told.problems)


def judge(way: Any, personas: Any, client: Any, name: str, data: bytes, right: Right) -> None:
    lesion = LesionFactory(patient=personas.patient)
    started = time.monotonic()
    refusal = way(personas.clinician, lesion, name, data, client)
    assert time.monotonic() - started < right.seconds
    if right.refused is not None:
        assert refusal is not None
        assert any(word in refusal for word in right.refused.split("|")), refusal
        assert not LesionImage.objects.exists()
        return
    assert refusal is None
    image = lesion.images.get()
    assert image.captured_on == (right.day or timezone.localdate())
    assert (image.captured_time is None) == (right.day is None)
    assert right.size in (None, (image.width, image.height))
    assert right.extension in (None, image.file.name.rpartition(".")[2])
    with image.file.open() as file:
        stored = file.read()
    assert not any(mark in stored for mark in (b"Exif", b"GPS", b"Phone 12"))
    assert len(stored) <= cleaning.MAX_BYTES


WAYS = pytest.mark.parametrize("way", [by_page, by_api, by_batch])


@WAYS
@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_file_gets_the_right_answer(way, name, personas, client):
    draw, right = DRAWN[name]
    judge(way, personas, client, name, draw(), right)


@WAYS
@pytest.mark.parametrize("name", GIVEN)
def test_a_given_file_gets_the_right_answer(way, name, personas, client):
    if not SHARED.is_dir():
        pytest.skip(f"needs the files in {SHARED}")
    judge(way, personas, client, Path(name).name, (SHARED / name).read_bytes(), GIVEN[name])


def test_every_given_picture_is_judged():
    if not SHARED.is_dir():
        pytest.skip(f"needs the files in {SHARED}")
    assert {file.name for file in SHARED.iterdir()} == {name for name in GIVEN if "/" not in name}


def test_an_age_in_a_table_is_that_on_the_day_in_the_file(personas):
    """Not the current day: a batch of old pictures would make everyone younger."""
    rows = [
        {"image": "old.jpg", "patient_id": "P1", "lesion_id": "L1", "age": 45},
        {"image": "told.jpg", "patient_id": "P2", "lesion_id": "L2", "birth_year": 1970},
    ]
    taken = cases.encoded(cases.spot(), exif=cases.exif())
    files = {"old.jpg": taken, "told.jpg": cases.encoded(cases.spot().rotate(9), exif=cases.exif())}
    work_off(upload(personas.clinician, batch_of(rows, files), clinic=personas.clinic))
    for image in LesionImage.objects.select_related("lesion__patient"):
        assert image.captured_on == DAY
        patient = image.lesion.patient
        assert patient.birth_year == {"P1": 2024 - 45, "P2": 1970}[patient.label]


@pytest.mark.parametrize("told", [None, date(2024, 5, 1)])
def test_the_day_of_the_batch_stands_above_the_files(personas, told):
    data = cases.encoded(cases.spot(), exif=cases.exif())
    archive = batch_of([{"image": "a.jpg", "lesion_id": "L1"}], {"a.jpg": data})
    work_off(upload(personas.clinician, archive, clinic=personas.clinic, captured_on=told))
    assert LesionImage.objects.get().captured_on == (told or DAY)


def test_text_in_a_dicom_picture_is_taken_where_that_is_said_and_never_given_out_as_removed(
    personas, client
):
    lesion = LesionFactory(patient=personas.patient)
    client.force_login(personas.clinician)
    client.post(
        reverse("image_new", args=[lesion.pk]),
        {
            "file": SimpleUploadedFile("a.dcm", dicom(BurnedInAnnotation="YES")),
            "modality": "dermatoscopic",
            "allow_burned_in": "on",
        },
    )
    image = lesion.images.get()
    assert image.has_burned_in_text
    with image.file.open() as file:
        given = dcmread(BytesIO(to_dicom(image, file.read())))
    assert (given.PatientIdentityRemoved, given.BurnedInAnnotation) == ("NO", "YES")
    assert "DeidentificationMethod" not in given
