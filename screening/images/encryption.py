"""Encrypts what was stored before there was a key, and what was stored with another
patient's key.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DatabaseError, models, transaction
from django.db.models import ExpressionWrapper, F, QuerySet
from django.utils import timezone

from screening.errors import Damaged, KeyDestroyed, Overtaken
from screening.models import DataKey, LesionImage, PredictionMaps
from screening.models.data_key import INSTALLATION
from screening.models.fields import SealedBinaryField
from screening.operations import orphans
from screening.sealing import is_sealed

logger = logging.getLogger(__name__)

storage: Any = default_storage
FILES = [field for model, field in orphans.FIELDS if model is LesionImage]
MAPS = [one.name for one in PredictionMaps._meta.fields if isinstance(one, SealedBinaryField)]
_AT_ONCE = 200


def seal_again(image: LesionImage) -> None:
    """Store its files and maps again, encrypted with the present patient's key, or not at all if
    encryption is off. The files get new names, so that nothing is overwritten.

    A file that is lost or damaged stays as it is. Raises KeyMissing; StorageAway; Overtaken if the
    image was changed or erased meanwhile: nothing is changed then.
    """
    old = {name: str(getattr(image, name).name) for name in FILES}
    image.data_key = DataKey.of(image.lesion.patient) if settings.ENCRYPT_AT_REST else None
    new: dict[str, str] = {}
    try:
        for name, path in old.items():  # before the transaction, which must not wait for a file
            if path and _is_whole(path):
                file = getattr(image, name)
                with storage.open(path) as content:
                    file.save(path, content, save=False)
                new[name] = str(file.name)
        with transaction.atomic():
            unchanged = LesionImage.everything.filter(pk=image.pk, **old)
            if not unchanged.update(data_key=image.data_key, **new):
                raise Overtaken("The picture was changed in the meantime.")
            _seal_maps(image)
    except BaseException:
        for path in new.values():
            storage.delete(path)
        raise
    for name in new:
        storage.delete(old[name])


def under_anothers_key() -> QuerySet[LesionImage]:
    """Pictures that were moved to another patient, in no order, so that a failure blocks no
    other.
    """
    if not settings.ENCRYPT_AT_REST:
        return LesionImage.everything.none()
    moved = LesionImage.everything.exclude(data_key=None)
    return moved.exclude(data_key__patient=F("lesion__patient")).order_by("?")


def seal_moved(image: LesionImage) -> None:
    """``seal_again``, but it never raises: the next sweep tries again. While the storage does not
    have the picture, it stays under the key that opens it: its file may be put back.
    """
    try:
        if storage.exists(str(image.file.name)):
            seal_again(image)
    except (Overtaken, OSError, DatabaseError) as error:
        logger.warning("image %s: still under another patient's key: %s", image.pk, error)


def _seal_maps(image: LesionImage) -> None:
    found = PredictionMaps.objects.filter(prediction__image=image)
    for pk in list(found.values_list("pk", flat=True)):
        maps = found.only(*MAPS).get(pk=pk)
        try:
            for name in MAPS:
                getattr(maps, name)  # opened before they are saved
        except (Damaged, KeyDestroyed):
            continue
        maps.save(update_fields=MAPS)


class Done(Enum):
    SEALED = "encrypted"
    SKIPPED = "skipped, because it is encrypted already or its file is lost"
    LEFT = "left, because it was changed meanwhile"


def seal_plain() -> Iterator[tuple[str, Done]]:
    """Encrypt every stored file and map that is not. Yields each row when it is dealt with. Whoever
    is interrupted starts again: what is encrypted is left alone. Raises KeyMissing, StorageAway.
    """
    storage.require_there()
    for image in _each(LesionImage):
        yield f"image {image.pk}", _seal_image(image)
    for model, field in orphans.FIELDS:
        if model is not LesionImage:
            for row in _each(model):
                yield f"{model._meta.verbose_name} {row.pk}", _seal_file(row, field)


def _seal_image(image: LesionImage) -> Done:
    if not _is_plain(image):
        return Done.SKIPPED
    try:
        seal_again(image)
    except Overtaken:
        return Done.LEFT
    return Done.SEALED


def rewrap() -> int:
    """Encrypt every data key with the newest operator's key. Returns the number of keys that had a
    former one. No file is written. Raises KeyMissing.
    """
    count = 0
    for one in DataKey.objects.outdated():
        former = one.wrapped_by
        one.wrap(one.key)
        still = DataKey.objects.filter(pk=one.pk, wrapped_by=former)
        count += still.update(wrapped=one.wrapped, wrapped_by=one.wrapped_by)
    return count


class Lost(NamedTuple):
    """What a data key encrypts that no operator's key opens. images: of one patient, including
    those moved to another since.
    """

    key: DataKey
    images: int
    maps: int


def lost() -> Iterator[Lost]:
    for key in DataKey.objects.lost():
        images = LesionImage.everything.filter(data_key=key)
        maps = PredictionMaps.objects.filter(prediction__image__in=images)
        yield Lost(key, images.count(), maps.count())


def give_up(key: DataKey) -> bool:
    """Mark the key as lost. Later pictures of the patient get another key.

    If the operator's key turns up after all, everything opens again except the installation's
    archives and exports. Returns False if the key can be opened after all.
    """
    still = DataKey.objects.lost().filter(pk=key.pk)
    if key.pk == INSTALLATION:  # the next one has the same identifier
        return bool(still.delete()[0])
    return bool(still.update(lost_at=timezone.now()))


def _is_plain(image: LesionImage) -> bool:
    paths = [str(getattr(image, name).name) for name in FILES]
    if any(path and storage.exists(path) and not storage.is_sealed(path) for path in paths):
        return True
    return not all(_maps_sealed(image))


def _maps_sealed(image: LesionImage) -> Iterator[bool]:
    """For each of its maps, whether it is stored encrypted."""
    as_stored = {
        f"stored_{name}": ExpressionWrapper(F(name), output_field=models.BinaryField())
        for name in MAPS
    }
    rows = PredictionMaps.objects.filter(prediction__image=image).annotate(**as_stored)
    for values in rows.values_list(*as_stored):
        for value in values:
            if value is not None:
                yield is_sealed(bytes(value))


def _seal_file(row: Any, field: str) -> Done:
    """Whether the file of a batch or an export is encrypted."""
    file = getattr(row, field)
    old = str(file.name)
    if not old or not storage.exists(old) or storage.is_sealed(old):
        return Done.SKIPPED
    with storage.open(old) as content:
        file.save(old, content, save=False)
    same = type(row)._base_manager.filter(pk=row.pk, **{field: old})
    is_done = bool(same.update(**{field: str(file.name)}))
    storage.delete(old if is_done else str(file.name))
    return Done.SEALED if is_done else Done.LEFT


def _is_whole(path: str) -> bool:
    """Whether the file can be read to its end."""
    try:
        with storage.open(path) as content:
            for _ in content.chunks():
                pass
    except (FileNotFoundError, Damaged):
        return False
    return True


def _each(model: type[models.Model]) -> Iterator[Any]:
    """All rows by primary key, page by page, so that no cursor stays open while rows are
    written.
    """
    rows = model._base_manager.order_by("pk")
    page = list(rows[:_AT_ONCE])
    while page:
        yield from page
        page = list(rows.filter(pk__gt=page[-1].pk)[:_AT_ONCE])
