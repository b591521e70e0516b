"""Stored files without a row are found and deleted, and nothing else."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db.models import FileField

from screening import tasks
from screening.corrections import services as corrections
from screening.images import services as image_services
from screening.models import LesionImage
from screening.operations import orphans
from screening.operations.storage import WholeFiles
from tests.factories import BatchFactory, LesionFactory, LesionImageFactory, PatientFactory, picture

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """Like SIGKILL: what follows in the process does not happen."""


@pytest.fixture(autouse=True)
def media(settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def files(media: Path) -> set[str]:
    return {str(path.relative_to(media)) for path in media.rglob("*") if path.is_file()}


def age(media: Path, by: timedelta = timedelta(days=2)) -> None:
    then = time.time() - by.total_seconds()
    for path in media.rglob("*"):
        os.utime(path, (then, then))


def orphan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is killed between the files and the row."""

    def killed(*arguments: object, **options: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(LesionImage, "save", killed)
        patched.setattr(WholeFiles, "delete", killed)
        lesion = LesionFactory(patient=PatientFactory(own=True))
        with pytest.raises(Killed):
            image_services.add_image(
                user=lesion.patient.owner, lesion=lesion, file=BytesIO(picture(1))
            )


def test_what_a_killed_process_left_is_deleted(media, monkeypatch, caplog) -> None:
    LesionImageFactory()
    batch = BatchFactory()
    batch.archive.save("archive", ContentFile(b"zip"))
    ours = files(media)
    orphan(monkeypatch)
    left = files(media) - ours
    assert left
    for other in ("README", f"unfinished/{'a' * 32}", "ab/notes", "batches/notes.txt"):
        (media / other).parent.mkdir(exist_ok=True)
        (media / other).write_bytes(b"not ours")
    others = files(media) - ours - left

    tasks.remove_orphans_task()
    assert files(media) == ours | left | others, "they are young"
    age(media)
    tasks.remove_orphans_task()
    assert files(media) == ours | others
    assert all(name in caplog.text for name in left)


def test_the_files_of_what_is_withdrawn_are_kept(media) -> None:
    image = LesionImageFactory(lesion__patient=PatientFactory(own=True))
    owner = image.lesion.patient.owner
    corrections.withdraw(user=owner, record=image, reason="A finger.")
    ours = files(media)
    age(media)
    assert orphans.remove() == []
    assert files(media) == ours


def test_a_wrong_database_costs_no_picture(media, monkeypatch, caplog) -> None:
    monkeypatch.setattr(orphans, "AT_MOST", 3)
    for _ in range(2):
        LesionImageFactory()
    stored = files(media)
    LesionImage.objects.all().delete()
    age(media)
    tasks.remove_orphans_task()
    assert files(media) == stored
    assert "4 stored files have no row" in caplog.text


def test_the_command_lists_them_and_deletes_if_asked(media, monkeypatch) -> None:
    LesionImageFactory()
    ours = files(media)
    orphan(monkeypatch)
    left = files(media) - ours
    age(media)

    def said(*options: str) -> list[str]:
        output = StringIO()
        call_command("orphans", *options, stdout=output)
        return output.getvalue().splitlines()

    assert said() == [*sorted(left), f"{len(left)} found."]
    assert files(media) == ours | left
    assert said("--delete")[-1] == f"{len(left)} deleted."
    assert files(media) == ours


def test_every_kind_of_stored_file_is_known() -> None:
    """A new file field must be queried for names, or its files would be deleted."""
    fields = {
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.fields
        if isinstance(field, FileField)
    }
    assert fields == set(orphans.FIELDS)
