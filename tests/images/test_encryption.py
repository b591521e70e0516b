"""Stored pictures and maps of a person are encrypted, with a key of their own."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.apps import apps
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import BinaryField, FileField
from django.urls import reverse

from screening import sweeper
from screening.corrections import moves
from screening.erasure import eraser, traces
from screening.errors import Damaged, KeyDestroyed, KeyMissing, Overtaken
from screening.images import encryption
from screening.images import services as images
from screening.images.encryption import Done
from screening.models import (
    Batch,
    DataKey,
    Erasure,
    Export,
    LesionImage,
    PredictionMaps,
    Trace,
)
from screening.models.data_key import INSTALLATION, forget_opened
from screening.models.fields import SealedBytes
from screening.operations import health
from screening.operations.orphans import FIELDS
from screening.operations.transience import is_transient
from screening.predictions import queue
from screening.sealing import MAGIC
from tests.clients import Browser
from tests.factories import (
    BatchFactory,
    ErasureFactory,
    ExportFactory,
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
    PredictionMapsFactory,
    picture,
)

pytestmark = pytest.mark.django_db

KEY, OTHER = "ab" * 32, "cd" * 32
PLAIN_BEGINS = (b"\xff\xd8\xff", b"\x89PNG", b"PK\x03\x04")
NOT_OF_PICTURES = {"IdempotentRequest.body", "DataKey.wrapped"}
"""Responses to programs, kept for a day, and what is encrypted already."""


@pytest.fixture(autouse=True)
def _on(settings: Any) -> Iterator[None]:
    settings.ENCRYPT_AT_REST, settings.ENCRYPTION_KEYS = True, [KEY]
    forget_opened()
    yield
    forget_opened()


@pytest.fixture
def media(settings: Any) -> Path:
    return Path(settings.MEDIA_ROOT)


def added(patient: Any = None, seed: int = 1) -> LesionImage:
    """A picture that somebody uploaded, and that was read."""
    lesion = LesionFactory(patient=patient or PatientFactory(own=True))
    user = lesion.patient.owner
    image = images.add_image(user=user, lesion=lesion, file=BytesIO(picture(seed))).image
    queue.process(image.predictions.get().pk)
    return image


def stored(media: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(media)): path.read_bytes()
        for path in media.rglob("*")
        if path.is_file()
    }


def opened(name: str) -> bytes:
    with default_storage.open(name) as file:
        return file.read()


def content_of(image: LesionImage) -> bytes:
    return opened(str(image.file.name))


def raw(row: Any, field: str) -> Any:
    """A column as the database has it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {field}, id FROM {row._meta.db_table}")
        values = {str(pk).replace("-", ""): value for value, pk in cursor.fetchall()}
    value = values[row.pk.hex]
    return None if value is None else bytes(value)


def one_of_each() -> None:
    added()
    BatchFactory().archive.save("archive", ContentFile(b"PK\x03\x04 originals"))
    ExportFactory(ready=True, file=ContentFile(b"PK\x03\x04 everything", name="export"))


def test_no_file_is_stored_plain(media: Path) -> None:
    """Walks every file field, so that a new one cannot be forgotten."""
    one_of_each()
    with_files = set()
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if not isinstance(field, FileField):
                continue
            for row in model._base_manager.exclude(**{field.name: ""}):
                with_files.add((model, field.name))
                file = getattr(row, field.name)
                content = opened(file.name)
                data = (media / file.name).read_bytes()
                assert data.startswith(MAGIC)
                assert content not in data
                assert content.startswith(PLAIN_BEGINS)
                assert file.size == len(content)
    assert with_files == set(FIELDS) - {(LesionImage, "screen")}
    assert all(data.startswith(MAGIC) for data in stored(media).values())


def test_no_map_is_stored_plain() -> None:
    """Walks every binary column."""
    image = added()
    maps = PredictionMaps.objects.get(prediction__image=image)
    found = set()
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, BinaryField):
                found.add(f"{model.__name__}.{field.name}")
    assert found == NOT_OF_PICTURES | {"PredictionMaps.mask", "PredictionMaps.features"}
    assert maps.mask.startswith(b"\x89PNG")
    assert np.isfinite(np.frombuffer(maps.features, np.float16)).all()
    for name in ("mask", "features"):
        value = raw(maps, name)
        assert value.startswith(MAGIC)
        assert getattr(maps, name) not in value


def test_each_patient_has_a_key_and_the_rest_has_the_installations(media: Path) -> None:
    first, second, again = added(), added(seed=2), None
    again = added(first.lesion.patient, seed=3)
    keys = {default_storage.data_key_of(one.file.name) for one in (first, again)}
    assert keys == {first.lesion.patient.data_keys.get().pk} == {first.data_key_id}
    assert second.data_key_id not in {*keys, None}
    batch = BatchFactory()
    batch.archive.save("archive", ContentFile(b"zip"))
    assert default_storage.data_key_of(batch.archive.name) == INSTALLATION
    of_patient = ExportFactory(ready=True, patient=first.lesion.patient)
    assert default_storage.data_key_of(of_patient.file.name) == first.data_key_id


def test_a_key_whose_row_was_rolled_back_is_not_used_again() -> None:
    with transaction.atomic():
        BatchFactory().archive.save("archive", ContentFile(b"zip"))
        transaction.set_rollback(True)
    batch = BatchFactory()
    batch.archive.save("archive", ContentFile(b"zip"))
    assert opened(batch.archive.name) == b"zip"
    forget_opened()  # as another process
    assert opened(batch.archive.name) == b"zip"


def test_keys_are_not_in_the_database() -> None:
    key = DataKey.of(added().lesion.patient)
    assert key.key not in bytes(key.wrapped)
    assert key.wrapped_by != KEY[:16]


def test_a_picture_is_shown_as_it_was(settings: Any) -> None:
    image = added()
    content = content_of(image)
    browser = Browser()
    browser.force_login(image.lesion.patient.owner)
    settings.MEDIA_ACCEL_PREFIX = "/protected/"  # nginx would hand out sealed bytes
    response = browser.get(reverse("media", args=[image.pk, "image"]))
    assert b"".join(response.streaming_content) == content
    assert int(response["Content-Length"]) == len(content)
    assert "X-Accel-Redirect" not in response
    settings.ENCRYPT_AT_REST = False
    plain = LesionImageFactory(lesion=image.lesion)
    response = browser.get(reverse("media", args=[plain.pk, "image"]))
    assert response["X-Accel-Redirect"] == f"/protected/{plain.file.name}"


def test_a_file_is_opened_again_as_it_was() -> None:
    image = added()
    with image.file.open("rb") as file:
        content = file.read()
    with image.file.open("rb") as file:  # Django keeps the first one, which is closed
        assert file.read() == content
    with image.file.open("rb") as file:
        assert file.read(10) == content[:10]


def test_a_picture_sent_again_is_known() -> None:
    image = added()
    owner = image.lesion.patient.owner
    again = images.add_image(user=owner, lesion=image.lesion, file=BytesIO(picture(1)))
    assert (again.image, again.is_new) == (image, False)


def test_what_came_before_stays_readable_and_is_encrypted_by_a_command(
    settings: Any, media: Path
) -> None:
    settings.ENCRYPT_AT_REST = False
    one_of_each()
    image = LesionImage.objects.get()
    maps = PredictionMaps.objects.get()
    before = {name: opened(name) for name in stored(media)}
    assert sorted(before.values()) == sorted(stored(media).values())
    assert image.data_key is None

    settings.ENCRYPT_AT_REST = True
    assert content_of(image) in before.values()
    assert PredictionMaps.objects.get().mask == maps.mask
    done = encryption.seal_plain()
    next(done)  # and it is interrupted
    done.close()
    out = StringIO()
    call_command("encrypt_media", stdout=out)
    assert (
        out.getvalue().splitlines()[-1] == "2 sealed, 1 skipped, 0 left. Nothing is stored plain."
    )
    call_command("encrypt_media", stdout=out)
    assert (
        out.getvalue().splitlines()[-1] == "0 sealed, 3 skipped, 0 left. Nothing is stored plain."
    )

    after = stored(media)
    assert all(data.startswith(MAGIC) for data in after.values())
    assert not after.keys() & before.keys(), "nothing is overwritten"
    assert sorted(map(opened, after)) == sorted(before.values())
    assert raw(maps, "mask").startswith(MAGIC)
    assert PredictionMaps.objects.get().mask == maps.mask
    image.refresh_from_db()
    assert image.data_key == image.lesion.patient.data_keys.get()
    for row in (image, Batch.objects.get(), Export.objects.get()):
        for field in row._meta.concrete_fields:
            if isinstance(field, FileField) and getattr(row, field.name):
                assert getattr(row, field.name).name in after


def test_the_command_says_if_it_is_off(settings: Any) -> None:
    settings.ENCRYPT_AT_REST = False
    with pytest.raises(CommandError, match="ENCRYPTION_KEY"):
        call_command("encrypt_media")


def test_a_picture_whose_file_is_lost_stops_nothing(settings: Any, media: Path) -> None:
    settings.ENCRYPT_AT_REST = False
    lost, kept = LesionImageFactory(), LesionImageFactory()
    (media / lost.file.name).unlink()
    settings.ENCRYPT_AT_REST = True
    call_command("encrypt_media", stdout=StringIO())
    for one in (lost, kept):
        one.refresh_from_db()
    assert default_storage.is_sealed(kept.file.name)
    assert default_storage.is_sealed(lost.thumbnail.name)


def test_a_new_operators_key_rewraps_and_writes_no_file(settings: Any, media: Path) -> None:
    image = added()
    files = stored(media)
    settings.ENCRYPTION_KEYS = [OTHER, KEY]
    out = StringIO()
    call_command("rotate_encryption_key", stdout=out)
    assert "1 data key" in out.getvalue()
    settings.ENCRYPTION_KEYS = [OTHER]
    forget_opened()
    assert content_of(image).startswith(b"\xff\xd8\xff")
    assert stored(media) == files
    settings.ENCRYPTION_KEYS = [KEY]
    forget_opened()
    with pytest.raises(CommandError, match="Put it back"):
        call_command("rotate_encryption_key")


def test_a_lost_key_is_told_and_overwrites_nothing(settings: Any, media: Path, caplog: Any) -> None:
    image = added()
    files, owner = stored(media), image.lesion.patient.owner
    settings.ENCRYPTION_KEYS = [OTHER]
    forget_opened()
    with pytest.raises(KeyMissing, match="Put it back") as told:
        image.file.open("rb")
    assert is_transient(told.value), "a reading waits, and does not fail"
    with pytest.raises(KeyMissing):
        assert PredictionMaps.objects.get().mask
    # Neither for the patient nor for another: a new key would hide that the other one is lost.
    for lesion in (image.lesion, LesionFactory(patient=PatientFactory(own=True))):
        with pytest.raises(KeyMissing):
            images.add_image(user=lesion.patient.owner, lesion=lesion, file=BytesIO(picture(9)))
    assert health.missing() == ["encryption key"]
    assert "Put it back" in caplog.text
    browser = Browser()
    browser.force_login(owner)
    browser.raise_request_exception = False
    assert browser.get(reverse("media", args=[image.pk, "image"])).status_code == 503
    with pytest.raises(KeyMissing):
        sweeper._try_the_storage()
    assert stored(media) == files
    assert DataKey.objects.count() == 1

    settings.ENCRYPTION_KEYS = [OTHER, KEY]
    assert health.missing() == []
    assert content_of(image).startswith(b"\xff\xd8\xff")


def test_a_changed_file_does_not_open(media: Path, caplog: Any) -> None:
    image, other = added(), added(seed=2)
    path = media / image.file.name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Damaged):
        content_of(image)
    browser = Browser()
    browser.force_login(image.lesion.patient.owner)
    assert browser.get(reverse("media", args=[image.pk, "image"])).status_code == 404
    assert "missing or damaged" in caplog.text
    path.write_bytes((media / other.file.name).read_bytes())
    with pytest.raises(Damaged):
        content_of(image)


def test_the_key_goes_with_the_record(media: Path) -> None:
    image, other = added(), added(seed=2)
    patient, key = image.lesion.patient, image.data_key
    copy = stored(media)[image.file.name]
    erasure = ErasureFactory(patient=patient, asked_by=patient.owner)
    Erasure.objects.filter(pk=erasure.pk).update(erased_from=erasure.created)
    assert eraser.erase_due() == 1
    assert not DataKey.objects.filter(pk=key.pk).exists()
    assert Erasure.objects.get().receipt["erased"]["data keys"] == 1
    out = StringIO()
    call_command("verify_erasure", stdout=out)
    assert "Keys of erased pictures: 1 destroyed, none is left." in out.getvalue()
    assert content_of(other), "other patients' are untouched"

    # Whoever kept a copy of the file has nothing.
    (media / image.file.name).parent.mkdir(exist_ok=True)
    (media / image.file.name).write_bytes(copy)
    with pytest.raises(KeyDestroyed):
        default_storage.open(image.file.name)
    # And it is found by its key, under any name.
    (media / "ab").mkdir(exist_ok=True)
    (media / "ab" / "copy").write_bytes(copy)
    said = {one.where for one in traces.Search().in_storage()}
    assert said == {image.file.name, "ab/copy"}


def test_a_key_that_is_left_is_found() -> None:
    image = added()
    patient, key = image.lesion.patient, image.data_key
    assert key is not None
    erasure = ErasureFactory(patient=patient, asked_by=patient.owner)
    Erasure.objects.filter(pk=erasure.pk).update(erased_from=erasure.created)
    assert eraser.erase_due() == 1
    DataKey.objects.create(
        pk=key.pk, patient=PatientFactory(), wrapped=key.wrapped, wrapped_by=key.wrapped_by
    )
    with pytest.raises(CommandError, match="1 trace"):
        call_command("verify_erasure", stdout=StringIO(), stderr=StringIO())


def test_a_picture_that_was_moved_outlives_the_patient_it_came_from(
    media: Path, personas: Any
) -> None:
    """It is encrypted with the former patient's key until that is destroyed."""
    first, second = (PatientFactory(own=True, owner=personas.self_tracker) for _ in range(2))
    image, stays = added(first), added(first, seed=2)
    content = content_of(image)
    mask = PredictionMaps.objects.get(prediction__image=image).mask
    moves.move_lesion(
        user=personas.self_tracker, lesion=image.lesion, patient=second, acknowledged=True
    )
    erasure = ErasureFactory(patient=first, asked_by=personas.self_tracker)
    Erasure.objects.filter(pk=erasure.pk).update(erased_from=erasure.created)
    assert eraser.erase_due() == 1
    assert not LesionImage.everything.filter(pk=stays.pk).exists()
    image = LesionImage.objects.get(pk=image.pk)
    assert image.data_key == second.data_keys.get()
    assert content_of(image) == content
    assert PredictionMaps.objects.get(prediction__image=image).mask == mask
    assert DataKey.objects.count() == 1
    assert len(stored(media)) == 2
    assert Trace.objects.exists()


def moved(personas: Any, seed: int = 1) -> tuple[LesionImage, Any, Any]:
    first, second = (PatientFactory(own=True, owner=personas.self_tracker) for _ in range(2))
    image = added(first, seed=seed)
    moves.move_lesion(
        user=personas.self_tracker, lesion=image.lesion, patient=second, acknowledged=True
    )
    return LesionImage.objects.get(pk=image.pk), first, second


def erase(patient: Any) -> None:
    erasure = ErasureFactory(patient=patient, asked_by=patient.owner)
    Erasure.objects.filter(pk=erasure.pk).update(erased_from=erasure.created)
    assert eraser.erase_due() == 1


def test_a_picture_that_was_moved_comes_under_its_patients_key(media: Path, personas: Any) -> None:
    stays = added(seed=3)
    image, first, second = moved(personas)
    content, before = content_of(image), stored(media)
    sweeper.seal_moved_pictures()
    image.refresh_from_db()
    assert image.data_key == second.data_keys.get()
    assert default_storage.data_key_of(image.file.name) == image.data_key_id
    assert content_of(image) == content
    assert stored(media)[stays.file.name] == before[stays.file.name]
    assert not encryption.under_anothers_key().exists()

    copy = stored(media)[image.file.name]
    erase(first)
    assert content_of(image) == content
    erase(second)
    (media / image.file.name).parent.mkdir(exist_ok=True)
    (media / image.file.name).write_bytes(copy)
    with pytest.raises(KeyDestroyed):
        opened(image.file.name)


@pytest.mark.parametrize("fault", ["damaged", "key", "off"])
def test_a_moved_picture_that_does_not_open_holds_up_no_other(
    media: Path, personas: Any, settings: Any, fault: str
) -> None:
    (image, _, second), (other, *_) = moved(personas), moved(personas, seed=2)
    path = media / image.file.name
    if fault == "damaged":
        path.write_bytes(path.read_bytes()[:-1])
    elif fault == "off":
        settings.ENCRYPT_AT_REST = False
    else:
        settings.ENCRYPTION_KEYS = [OTHER]
        forget_opened()
    names = {image.file.name, other.file.name}
    sweeper.seal_moved_pictures()
    for one in (image, other):
        one.refresh_from_db()
    if fault == "damaged":
        assert image.data_key == second.data_keys.get()
        assert other.data_key.patient == other.lesion.patient
    else:
        assert {image.file.name, other.file.name} == names


def test_a_moved_picture_stays_under_the_key_that_opens_it_while_its_file_is_away(
    media: Path, personas: Any
) -> None:
    image, first, second = moved(personas)
    content = content_of(image)
    path = media / image.file.name
    away = path.rename(media / "away")
    sweeper.seal_moved_pictures()
    away.rename(path)
    image.refresh_from_db()
    assert image.data_key == first.data_keys.get()
    sweeper.seal_moved_pictures()
    image.refresh_from_db()
    assert image.data_key == second.data_keys.get()
    erase(first)
    assert content_of(image) == content


def test_the_database_destroys_no_key_that_a_picture_is_under() -> None:
    image = added()
    keys = DataKey.objects.filter(pk=image.data_key_id)
    with pytest.raises(IntegrityError), transaction.atomic():
        keys._raw_delete(keys.db)
        connection.check_constraints()


def test_maps_that_were_imported_or_updated_are_encrypted_too() -> None:
    maps = PredictionMapsFactory()
    PredictionMaps.objects.filter(pk=maps.pk).update(mask=b"\x89PNG again")
    assert raw(maps, "mask").startswith(MAGIC)
    assert PredictionMaps.objects.get().mask == b"\x89PNG again"


def damage_a_map(image: LesionImage) -> None:
    maps = PredictionMaps.objects.get(prediction__image=image)
    stored = {"mask": SealedBytes(raw(maps, "mask")[:-1])}
    PredictionMaps.objects.filter(pk=maps.pk).update(**stored)


@pytest.mark.parametrize("is_lost", [True, False])
def test_maps_that_nobody_can_open_hide_no_outcome_and_stop_no_erasure(
    settings: Any, is_lost: bool, caplog: Any
) -> None:
    """The operator's key is lost, or a row is damaged."""
    image, other = added(), added(seed=2)
    if is_lost:
        settings.ENCRYPTION_KEYS, settings.ENCRYPT_AT_REST = [], False
        forget_opened()
    else:
        damage_a_map(image)
    browser = Browser()
    browser.force_login(image.lesion.patient.owner)
    answer = browser.get(reverse("image", args=[image.pk]))
    assert answer.status_code == 200
    assert answer.context["finished"].outcome
    assert "maps cannot be opened" in caplog.text
    patient = other.lesion.patient
    erasure = ErasureFactory(patient=patient, asked_by=patient.owner)
    Erasure.objects.filter(pk=erasure.pk).update(erased_from=erasure.created)
    assert eraser.erase_due() == 1
    if is_lost:
        with pytest.raises(CommandError, match="--names-only"):
            call_command("verify_erasure", stdout=StringIO(), stderr=StringIO())
    call_command("verify_erasure", "--names-only", stdout=StringIO())


def test_a_damaged_map_keeps_no_other_picture_plain(settings: Any) -> None:
    patient = PatientFactory(own=True)
    settings.ENCRYPT_AT_REST = False
    images_before = [added(patient, seed=seed) for seed in (1, 2)]
    settings.ENCRYPT_AT_REST = True
    maps = PredictionMaps.objects.get(prediction__image=images_before[0])
    maps.save()
    damage_a_map(images_before[0])
    for done in (Done.SEALED, Done.SKIPPED):
        assert [found for _, found in encryption.seal_plain()] == [done, done]


def test_a_picture_that_is_encrypted_while_it_is_read_is_read(settings: Any) -> None:
    """Its file gets another name between the claim and the opening."""
    settings.ENCRYPT_AT_REST = False
    lesion = LesionFactory(patient=PatientFactory(own=True))
    user = lesion.patient.owner
    image = images.add_image(user=user, lesion=lesion, file=BytesIO(picture(1))).image
    prediction = queue.claim(image.predictions.get().pk)
    assert prediction is not None
    settings.ENCRYPT_AT_REST = True
    assert list(encryption.seal_plain())
    assert queue.read(prediction)
    assert image.predictions.get().state == "succeeded"


def test_a_reading_of_a_plain_picture_waits_for_the_lost_key(settings: Any) -> None:
    """The picture opens, and its maps cannot be stored."""
    settings.ENCRYPT_AT_REST = False
    lesion = LesionFactory(patient=PatientFactory(own=True))
    user = lesion.patient.owner
    image = images.add_image(user=user, lesion=lesion, file=BytesIO(picture(1))).image
    settings.ENCRYPT_AT_REST = True
    added(seed=2)
    settings.ENCRYPTION_KEYS = [OTHER]
    forget_opened()
    queue.process(image.predictions.get().pk)
    waiting = image.predictions.get()
    assert (waiting.state, waiting.setbacks) == ("queued", 1)


def test_what_a_lost_key_covers_is_listed_and_given_up(settings: Any, media: Path) -> None:
    image, other = added(), added(seed=2)
    patient, user = image.lesion.patient, image.lesion.patient.owner
    queue_again = image.predictions.get()
    ExportFactory(ready=True, file=ContentFile(b"PK\x03\x04 everything", name="export"))
    settings.ENCRYPTION_KEYS = [OTHER]
    forget_opened()
    out = StringIO()
    call_command("lost_keys", stdout=out)
    said = out.getvalue()
    assert f"patient {patient.pk}: 1 pictures, 1 maps" in said
    assert f"patient {other.lesion.patient_id}: 1 pictures" in said
    assert "the installation, archives of batches and exports, given up for good: 0 p" in said
    assert "Nothing was changed." in said
    assert health.missing() == ["encryption key"]

    call_command("lost_keys", "--confirm", stdout=out)
    assert "3 data key(s) given up" in out.getvalue()
    assert health.missing() == []
    with pytest.raises(KeyDestroyed):
        content_of(image)
    assert image.predictions.get() == queue_again, "history stays"
    new = images.add_image(user=user, lesion=image.lesion, file=BytesIO(picture(9))).image
    assert content_of(new).startswith(b"\xff\xd8\xff")
    assert new.data_key_id != image.data_key_id
    BatchFactory().archive.save("archive", ContentFile(b"zip"))
    call_command("lost_keys", stdout=out)
    assert out.getvalue().endswith("Nothing is lost.\n")
    call_command("rotate_encryption_key", stdout=out)

    settings.ENCRYPTION_KEYS = [OTHER, KEY]  # it is found after all
    forget_opened()
    assert content_of(image).startswith(b"\xff\xd8\xff")
    call_command("rotate_encryption_key", stdout=out)
    settings.ENCRYPTION_KEYS = [OTHER]
    forget_opened()
    assert content_of(image).startswith(b"\xff\xd8\xff")


def test_what_waited_for_a_key_that_is_given_up_ends(settings: Any) -> None:
    lesion = LesionFactory(patient=PatientFactory(own=True))
    user = lesion.patient.owner
    image = images.add_image(user=user, lesion=lesion, file=BytesIO(picture(1))).image
    settings.ENCRYPTION_KEYS = [OTHER]
    forget_opened()
    waiting = image.predictions.get()
    queue.process(waiting.pk)
    waiting.refresh_from_db()
    assert waiting.state == "queued"
    call_command("lost_keys", "--confirm", stdout=StringIO())
    type(waiting).objects.filter(pk=waiting.pk).update(rests_until=None)
    queue.process(waiting.pk)
    waiting.refresh_from_db()
    assert (waiting.state, bool(waiting.failure)) == ("failed", True)


def test_what_still_opens_is_read_though_its_key_was_given_up(settings: Any) -> None:
    """A picture from before there was a key: only its maps were under the lost one."""
    settings.ENCRYPT_AT_REST = False
    lesion = LesionFactory(patient=PatientFactory(own=True))
    user = lesion.patient.owner
    image = images.add_image(user=user, lesion=lesion, file=BytesIO(picture(1))).image
    settings.ENCRYPT_AT_REST = True
    first = image.predictions.get()
    queue.process(first.pk)
    settings.ENCRYPTION_KEYS = [OTHER]
    forget_opened()
    call_command("lost_keys", "--confirm", stdout=StringIO())
    version = first.model_version
    again = PredictionFactory(image=image, queued=True, model_version=version)
    queue.process(again.pk)
    again.refresh_from_db()
    assert again.state == "succeeded"
    assert again.maps.mask.startswith(b"\x89PNG")
    assert image.lesion.patient.data_keys.count() == 2


def test_a_key_that_was_given_up_goes_with_the_record(settings: Any) -> None:
    image = added()
    patient, user = image.lesion.patient, image.lesion.patient.owner
    settings.ENCRYPTION_KEYS = [OTHER]
    forget_opened()
    call_command("lost_keys", "--confirm", stdout=StringIO())
    images.add_image(user=user, lesion=image.lesion, file=BytesIO(picture(9)))
    assert patient.data_keys.count() == 2
    erasure = ErasureFactory(patient=patient, asked_by=user)
    Erasure.objects.filter(pk=erasure.pk).update(erased_from=erasure.created)
    assert eraser.erase_due() == 1
    assert not DataKey.objects.exists()


def test_the_command_says_what_is_left(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ENCRYPT_AT_REST = False
    added()
    settings.ENCRYPT_AT_REST = True

    def overtaken(image: LesionImage) -> None:
        raise Overtaken

    monkeypatch.setattr(encryption, "seal_again", overtaken)
    out = StringIO()
    call_command("encrypt_media", stdout=out)
    assert out.getvalue() == "0 sealed, 0 skipped, 1 left. Run it again.\n"


def test_a_key_that_was_removed_stores_nothing_plain(settings: Any, media: Path) -> None:
    """Without a key, encryption is off on a server's database."""
    image = added()
    files, user = stored(media), image.lesion.patient.owner
    settings.ENCRYPTION_KEYS, settings.ENCRYPT_AT_REST = [], False
    forget_opened()
    assert health.missing() == ["encryption key"]
    with pytest.raises(KeyMissing):
        images.add_image(user=user, lesion=image.lesion, file=BytesIO(picture(9)))
    assert stored(media) == files
    assert LesionImage.objects.count() == 1
    with pytest.raises(CommandError, match="No operator's key is set here"):
        call_command("lost_keys", "--confirm", stdout=StringIO())
    assert not DataKey.objects.exclude(lost_at=None).exists(), "a shell without the setting"
    settings.ENCRYPTION_KEYS = [OTHER]
    call_command("lost_keys", "--confirm", stdout=StringIO())
    settings.ENCRYPTION_KEYS = []
    assert health.missing() == []
    images.add_image(user=user, lesion=image.lesion, file=BytesIO(picture(9)))
