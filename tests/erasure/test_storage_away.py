"""While the storage is away no file counts as lost, and nothing goes that could not come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.urls import reverse

from screening import sweeper
from screening.corrections import moves
from screening.erasure import eraser
from screening.errors import StorageAway
from screening.exports import services as exports
from screening.exports import worker as export_worker
from screening.images import services as images
from screening.models import DataKey, Erasure, ErasureState, Export, LesionImage, Patient
from screening.models.data_key import forget_opened
from screening.operations import health
from screening.operations.storage import UNFINISHED, SealedFiles
from screening.predictions import queue
from tests.clients import Browser
from tests.factories import (
    ErasureFactory,
    LesionFactory,
    PatientFactory,
    picture,
)
from tests.privacy.entries import close

pytestmark = pytest.mark.django_db

Away = Callable[[], Any]


@pytest.fixture(autouse=True)
def _encrypted(settings: Any) -> Iterator[None]:
    settings.ENCRYPT_AT_REST, settings.ENCRYPTION_KEYS = True, ["ab" * 32]
    forget_opened()
    yield
    forget_opened()


@pytest.fixture(params=["empty folder", "no folder"])
def unmounted(request: Any, settings: Any) -> Away:
    """Takes the disk from its folder for a while. The empty folder can be written to."""
    media = Path(settings.MEDIA_ROOT)

    @contextmanager
    def away() -> Iterator[Path]:
        disk = media.rename(media.with_name("disk"))
        if request.param == "empty folder":
            media.mkdir()
        try:
            yield media
        finally:
            written = [path for path in media.rglob("*") if path.is_file()]
            assert not written, "hidden once the disk is mounted"
            if media.exists():
                media.rmdir()
            disk.rename(media)

    return away


@contextmanager
def broken(monkeypatch: Any) -> Iterator[None]:
    """A disk that deletes nothing."""

    def refuse(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(SealedFiles, "delete", refuse)
        yield


def added(patient: Any, seed: int) -> LesionImage:
    lesion = LesionFactory(patient=patient)
    user = patient.owner
    return images.add_image(user=user, lesion=lesion, file=BytesIO(picture(seed))).image


def content_of(image: LesionImage) -> bytes:
    image = LesionImage.everything.get(pk=image.pk)
    forget_opened()  # as another process
    with image.file.open("rb") as file:
        return file.read()


@pytest.fixture
def moved(personas: Any) -> tuple[LesionImage, bytes, LesionImage]:
    """A picture that came from a record that is to be erased, its content, and one that goes."""
    first, second = (PatientFactory(own=True, owner=personas.self_tracker) for _ in range(2))
    image, goes = added(first, 1), added(first, 2)
    content = content_of(image)
    moves.move_lesion(
        user=personas.self_tracker, lesion=image.lesion, patient=second, acknowledged=True
    )
    erasure = ErasureFactory(patient=first, asked_by=personas.self_tracker)
    Erasure.objects.filter(pk=erasure.pk).update(erased_from=erasure.created)
    return image, content, goes


def an_hour_passes() -> None:
    for erasure in Erasure.objects.exclude(rests_until=None):
        Erasure.objects.filter(pk=erasure.pk).update(
            rests_until=erasure.rests_until - timedelta(hours=1)
        )


def finishes(image: LesionImage, content: bytes, goes: LesionImage) -> None:
    an_hour_passes()
    assert eraser.erase_due() == 1
    assert content_of(image) == content
    assert not default_storage.exists(str(goes.file.name))
    assert DataKey.objects.count() == 1
    out = StringIO()
    call_command("verify_erasure", stdout=out)
    assert "No trace" in out.getvalue()


def test_nothing_is_erased_while_the_storage_is_away(moved: Any, unmounted: Away) -> None:
    image, content, goes = moved
    with unmounted():
        with pytest.raises(CommandError, match="1 not finished"):
            call_command("erase", stdout=StringIO())
        assert Erasure.objects.get().state == ErasureState.PENDING, "it can still be undone"
        assert Patient.everything.count() >= 2
        assert LesionImage.everything.filter(pk=goes.pk).exists()
        with pytest.raises(CommandError, match="is the disk mounted"):
            call_command("verify_erasure", stdout=StringIO())
    finishes(image, content, goes)


@pytest.mark.parametrize("fault", ["unmounted", "broken"])
def test_no_key_is_destroyed_before_the_files_are_gone(
    moved: Any, unmounted: Away, monkeypatch: Any, fault: str
) -> None:
    """The storage goes away after the rows went."""
    image, content, goes = moved
    erase_rows = eraser._erase_rows
    with monkeypatch.context() as patched:
        stack: list[Any] = []

        def then_away(pk: Any) -> None:
            erase_rows(pk)
            away = unmounted() if fault == "unmounted" else broken(monkeypatch)
            away.__enter__()
            stack.append(away)

        patched.setattr(eraser, "_erase_rows", then_away)
        assert eraser.erase_due() == 0
    erasure = Erasure.objects.get()
    assert (erasure.state, erasure.receipt) == (ErasureState.ERASING, {})
    assert [str(goes.file.name), True] in erasure.files
    assert erasure.data_keys.exists()
    an_hour_passes()
    assert eraser.erase_due() == 0, "nor later"
    assert erasure.data_keys.exists()
    for away in stack:
        away.__exit__(None, None, None)
    finishes(image, content, goes)


def test_a_moved_picture_is_under_its_key_until_it_is_written_anew(
    moved: Any, unmounted: Away, monkeypatch: Any
) -> None:
    """The storage goes away after the last file of the record was deleted."""
    image, content, goes = moved
    destroy, away = eraser._destroy_keys, unmounted()
    with monkeypatch.context() as patched:

        def when_away(erasure: Erasure) -> None:
            away.__enter__()
            destroy(erasure)

        patched.setattr(eraser, "_destroy_keys", when_away)
        assert eraser.erase_due() == 0
    away.__exit__(None, None, None)
    assert not default_storage.exists(str(goes.file.name))
    assert content_of(image) == content
    finishes(image, content, goes)


def test_the_last_record_is_erased_though_no_other_picture_tells_that_the_disk_is_there(
    personas: Any, unmounted: Away
) -> None:
    image = added(personas.own_patient, 1)
    erasure = ErasureFactory(patient=personas.own_patient, asked_by=personas.self_tracker)
    Erasure.objects.filter(pk=erasure.pk).update(erased_from=erasure.created)
    with unmounted():
        assert eraser.erase_due() == 0
    assert default_storage.exists(str(image.file.name))
    an_hour_passes()
    assert eraser.erase_due() == 1
    assert not default_storage.exists(str(image.file.name))


def test_a_picture_is_not_lost_while_the_storage_is_away(personas: Any, unmounted: Away) -> None:
    image = added(personas.own_patient, 1)
    export = exports.request_export(user=personas.self_tracker)
    prediction = image.predictions.get()
    browser = Browser()
    browser.force_login(personas.self_tracker)
    browser.raise_request_exception = False
    address = reverse("media", args=[image.pk, "image"])
    with unmounted():
        assert browser.get(address).status_code == 503
        queue.process(prediction.pk)
        prediction.refresh_from_db()
        assert prediction.state == "queued", "it waits"
        assert export_worker.work()
        assert Export.objects.get(pk=export.pk).state == "queued"
        with pytest.raises(StorageAway):  # else it would be hidden once the disk is mounted
            added(personas.own_patient, 2)
        with pytest.raises(StorageAway):
            sweeper._try_the_storage()
        assert health.missing() == ["storage"]
        with pytest.raises(CommandError, match="is the disk mounted"):
            call_command("encrypt_media", stdout=StringIO())
    response = browser.get(address)
    assert response.status_code == 200
    close(response)
    Path(default_storage.path(str(image.file.name))).unlink()
    assert browser.get(address).status_code == 404, "one file is lost, and the storage is there"


def test_pictures_that_were_copied_to_another_disk_are_there(personas: Any, settings: Any) -> None:
    image, other = added(personas.own_patient, 1), added(personas.own_patient, 2)
    (Path(settings.MEDIA_ROOT) / UNFINISHED).rmdir()
    Path(default_storage.path(str(image.file.name))).unlink()
    with pytest.raises(FileNotFoundError):
        image.file.open("rb")
    assert content_of(other)
    added(personas.own_patient, 3)


def test_an_operator_can_say_that_all_pictures_are_lost(personas: Any, unmounted: Away) -> None:
    image = added(personas.own_patient, 1)
    with unmounted() as media:
        with pytest.raises(StorageAway, match=f"make an empty folder {media / UNFINISHED}"):
            image.file.open("rb")
        (media / UNFINISHED).mkdir(parents=True)
        with pytest.raises(FileNotFoundError):
            image.file.open("rb")
        (media / UNFINISHED).rmdir()
