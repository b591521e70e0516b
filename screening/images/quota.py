"""How much an account or a clinic stores, and its limit."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce

from accounts.locks import lock
from ml.opening.limits import size_in_words
from screening.models import Batch, LesionImage

FULL = (
    "There is no room left: {} is used. Nothing that you saved is lost. Ask whoever runs this "
    "site for more room. If a spot worries you, do not wait for a picture: show it to a doctor."
)


NO_ROOM = "no_room"
"""The code of the validation error."""


class Storage(NamedTuple):
    """Bytes in use. Withdrawn pictures count, because they are kept."""

    used: int
    most: int

    def __str__(self) -> str:
        return f"{size_in_words(self.used)} of {size_in_words(self.most)}"


def of_account(user: UUID | None) -> Storage:
    """The storage of a person's own record. user: the primary key."""
    images = Q(lesion__patient__clinic=None, lesion__patient__owner=user)
    return _storage(images, Q(clinic=None, created_by=user), settings.ACCOUNT_STORAGE_MB)


def of_clinic(clinic: UUID) -> Storage:
    return _storage(Q(lesion__patient__clinic=clinic), Q(clinic=clinic), settings.CLINIC_STORAGE_MB)


def require_room(
    more: int, *, user: UUID | None, clinic: UUID | None = None, field: str = "file"
) -> None:
    """Raise ValidationError if ``more`` bytes exceed the quota of ``clinic`` or, without one, of
    ``user``. ``take_room`` asks again when they are stored.
    """
    storage = of_account(user) if clinic is None else of_clinic(clinic)
    if storage.used + more > storage.most:
        raise ValidationError({field: ValidationError(FULL.format(storage), code=NO_ROOM)})


def take_room(
    more: int, *, user: UUID | None, clinic: UUID | None = None, field: str = "file"
) -> None:
    """Like ``require_room``, in the transaction that stores the row, just before it: until it ends,
    nobody else uses space of the same quota. Lock lesions and patients first.
    """
    lock(f"storage of {clinic or user}")
    require_room(more, user=user, clinic=clinic, field=field)


def _storage(images: Q, batches: Q, megabytes: int) -> Storage:
    # Rows from before sizes were stored count as a JPEG of the same dimensions.
    size = Coalesce(F("stored_bytes"), F("width") * F("height") / 4)
    pictures = LesionImage.everything.filter(images).aggregate(sum=Sum(size))["sum"]
    held = Batch.objects.filter(batches).exclude(archive="")
    archives = held.aggregate(sum=Sum("archive_bytes"))["sum"]
    return Storage((pictures or 0) + (archives or 0), megabytes * 10**6)
