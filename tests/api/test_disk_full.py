"""A full disk, a locked database, an unavailable storage: the client is told so and when to retry,
rate limits let everybody through, and nothing is left behind. On a real disk of one megabyte.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.cache import caches
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import OperationalError
from django.urls import reverse

from screening.images import services as image_services
from screening.models import Batch, LesionImage
from screening.operations import storage
from tests.api.conftest import upload
from tests.api.test_batches import send
from tests.batches.uploads import batch_of, drawn
from tests.factories import picture

FILES_CACHE = "skincheck_site.cache.ForgivingFiles"
REDIS_CACHE = "skincheck_site.cache.ForgivingRedis"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A megabyte, part of which is already used."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk))
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here: that takes root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path, *, but: int = 0) -> None:
    """Leave room for ``but`` bytes."""
    with (
        (disk / "filler").open("wb", buffering=0) as filler,
        pytest.raises(OSError, match="No space"),
    ):
        while True:
            filler.write(b"x" * 4096)
    size = (disk / "filler").stat().st_size
    with (disk / "filler").open("r+b") as filler:
        filler.truncate(size - but)


def files_in(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "filler")
    return {str(path.relative_to(folder)) for path in found}


def known() -> set[str]:
    return {file.name for image in LesionImage.objects.all() for file in image.stored_files}


def test_a_full_disk_is_told_and_nothing_is_left(clinician, lesion, settings, small_disk):
    settings.MEDIA_ROOT = small_disk
    fill(small_disk, but=60_000)  # room for one picture and part of another
    clinician.raise_request_exception = False
    statuses = []
    for seed in range(6):
        response = upload(clinician, lesion, picture(seed))
        statuses.append(response.status_code)
    assert statuses[0] == 202
    assert statuses[-1] == 507
    assert set(statuses) == {202, 507}
    assert response["Retry-After"] == "300"
    assert response.json()["type"].endswith("/problems/no-room")
    assert files_in(small_disk) == known()
    assert LesionImage.objects.count() == statuses.count(202)


def test_a_page_says_so_by_the_name_of_the_file(client, personas, lesion, settings, small_disk):
    settings.MEDIA_ROOT = small_disk
    fill(small_disk)
    client.force_login(personas.clinician)
    sent = {
        "captured_on": "2026-03-12",
        "modality": "dermatoscopic",
        "file": ContentFile(picture(), "mole.jpg"),
    }
    url = reverse("image_new", args=[lesion.pk])
    response = client.post(url, sent, headers={"accept": "application/json"})
    [result] = response.json()["results"]
    assert "no room" in result["message"]
    assert not LesionImage.objects.exists()
    assert files_in(small_disk) == set()


def test_a_body_that_does_not_fit_is_told_and_not_kept(
    clinician, client, personas, settings, small_disk
):
    settings.FILE_UPLOAD_TEMP_DIR = small_disk
    data = batch_of([{"image": "a.jpg", "lesion_id": "L"}], {"a.jpg": drawn(1) + b"\0" * 6_000_000})
    clinician.raise_request_exception = client.raise_request_exception = False
    assert send(clinician, data).status_code == 507
    client.force_login(personas.clinician)
    archive = ContentFile(data, "batch.zip")
    response = client.post(reverse("batch_new"), {"archive": archive})
    assert (response.status_code, response["Retry-After"]) == (507, "300")
    assert "no room left" in response.content.decode()
    assert files_in(small_disk) == set()
    assert not Batch.objects.exists()


def test_a_full_cache_turns_nobody_away(clinician, settings, small_disk):
    settings.CACHES = {"default": {"BACKEND": FILES_CACHE, "LOCATION": small_disk / "cache"}}
    fill(small_disk)
    for _ in range(3):
        assert clinician.get("/api/v1/patients/").status_code == 200
    assert files_in(small_disk) == set()


@pytest.mark.parametrize(
    "cache",
    [
        {"BACKEND": REDIS_CACHE, "LOCATION": "redis://127.0.0.1:1/0"},
        {"BACKEND": FILES_CACHE, "LOCATION": "/proc/no-such-place"},
    ],
    ids=["redis", "files"],
)
def test_a_cache_that_is_away_fails_open(cache, clinician, settings):
    settings.CACHES = {"default": cache}
    found = caches["default"]
    assert found.add("a", 1) is True
    assert found.get("a") is None
    assert found.get("a", 5) == 5
    assert not found.touch("a")
    assert not found.delete("a")
    assert not found.has_key("a")
    found.set("a", 1)
    with pytest.raises(ValueError, match="a"):
        found.incr("a")
    assert clinician.get("/api/v1/patients/").status_code == 200
    form = "application/x-www-form-urlencoded"
    token = clinician.post("/oauth/token", "grant_type=client_credentials", content_type=form)
    assert token.status_code == 401


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationalError("database is locked"), 503),
        (EndpointConnectionError(endpoint_url="http://s3"), 503),
        (OperationalError("database or disk is full"), 507),
        (ValueError("a bug"), 500),
    ],
    ids=repr,
)
def test_what_passes_is_told_from_a_bug_wherever_it_is_met(
    error, status, clinician, client, personas, monkeypatch
):
    def fails(*arguments, **options):
        raise error

    monkeypatch.setattr("screening.models.visibility.PatientQuerySet.visible_to", fails)
    clinician.raise_request_exception = client.raise_request_exception = False
    client.force_login(personas.clinician)
    for response in (
        clinician.get("/api/v1/patients/"),
        clinician.get("/fhir/R4/Patient"),
        client.get(reverse("patients")),
    ):
        assert response.status_code == status
        assert ("Retry-After" in response.headers) == (status != 500)
    assert ("Not possible right now" in response.content.decode()) == (status != 500)


@pytest.mark.django_db
def test_a_file_is_there_whole_or_not_at_all(settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path

    class Breaks(io.BytesIO):
        def read(self, *size):
            raise KeyboardInterrupt

    content = ContentFile(b"x" * 100_000)
    content.file = Breaks(b"x" * 100_000)
    with pytest.raises(KeyboardInterrupt):
        default_storage.save("ab/cd.jpg", content)
    assert files_in(tmp_path) == set()
    assert default_storage.save("ab/cd.jpg", ContentFile(b"whole")) == "ab/cd.jpg"
    assert files_in(tmp_path) == {"ab/cd.jpg"}
    assert oct((tmp_path / "ab/cd.jpg").stat().st_mode)[-3:] == "600"
    assert oct((tmp_path / "ab").stat().st_mode)[-3:] == "700"
    assert default_storage.save("ab/cd.jpg", ContentFile(b"other")) != "ab/cd.jpg"


def test_what_a_killed_process_left_is_removed_after_a_day(settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT, settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "media", tmp_path / "uploads"
    for left in (tmp_path / "media" / storage.UNFINISHED / "ab", tmp_path / "uploads" / "x.upload"):
        left.parent.mkdir(parents=True)
        left.touch()
    storage.remove_unfinished()
    assert len(files_in(tmp_path)) == 2
    monkeypatch.setattr(storage, "LEFT_AFTER", -1)
    storage.remove_unfinished()
    assert files_in(tmp_path) == set()


def test_no_row_is_left_of_a_picture_that_was_not_kept(clinician, lesion, monkeypatch):
    def locked(*arguments, **options):
        raise OperationalError("database is locked")

    clinician.raise_request_exception = False
    monkeypatch.setattr(image_services, "enqueue", locked)
    response = upload(clinician, lesion)
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert not LesionImage.objects.exists()
    folders, files = default_storage.listdir("")
    assert files == [] and all(default_storage.listdir(one)[1] == [] for one in folders)
