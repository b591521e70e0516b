"""Stored content that does not open: damaged, or with its key destroyed or locked away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from screening import sealing
from screening.errors import Damaged, KeyDestroyed, KeyMissing
from screening.models import DataKey, LesionImage, PredictionMaps
from screening.models.data_key import forget_opened
from screening.models.fields import SealedBytes
from tests.factories import PatientFactory

KEY = "ab" * 32


def _sealed(key: DataKey, place: str) -> bytes:
    return sealing.seal(b"\x89PNG", data_key=key.pk, key=key.key, place=place)


def damaged(key: DataKey, place: str) -> bytes:
    return _sealed(key, place)[:-1]


def destroyed(key: DataKey, place: str) -> bytes:
    stored = _sealed(key, place)
    return stored.replace(key.pk.bytes, uuid4().bytes, 1)


def locked(key: DataKey, place: str) -> bytes:
    """Its key is not among the operator's."""
    stored = _sealed(key, place)
    DataKey.objects.filter(pk=key.pk).update(wrapped_by="another")
    forget_opened()
    key.refresh_from_db()
    return stored


Spoil = Callable[[DataKey, str], bytes]
RAISED = {damaged: Damaged, destroyed: KeyDestroyed, locked: KeyMissing}


def a_key() -> DataKey:
    key = DataKey(pk=uuid4(), patient=PatientFactory())
    key.wrap(b"k" * 32)
    key.save()
    return key


def spoil_maps(how: Spoil, of: UUID | None = None) -> None:
    rows = PredictionMaps.objects.filter(**({"prediction": of} if of else {}))
    for name in ("mask", "features"):
        content = how(a_key(), f"screening.PredictionMaps.{name}")
        rows.update(**{name: SealedBytes(content)})


def spoil_pictures(how: Spoil, media: Path) -> None:
    for image in LesionImage.everything.all():
        for file in image.stored_files:
            if (media / str(file.name)).exists():
                (media / str(file.name)).write_bytes(how(a_key(), str(file.name)))
