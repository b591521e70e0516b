"""Fields encrypted with the patient's data key. Their columns are those of Django's own fields, and
content stored before there was a key stays readable.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.conf import settings
from django.core.files.base import File
from django.db import models
from django.db.models.fields.files import FieldFile
from django.db.models.query_utils import DeferredAttribute

from screening import sealing
from screening.models.data_key import DataKey, key_of


class SealedFieldFile(FieldFile):
    def open(self, mode: str = "rb") -> SealedFieldFile:  # type: ignore[override]
        """Open the file even if it was renamed since the row was loaded, as happens when it is
        encrypted later.
        """
        try:
            return super().open(mode)
        except FileNotFoundError:
            rows = type(self.instance)._base_manager.filter(pk=self.instance.pk)
            name = rows.values_list(self.field.attname, flat=True).first()
            if not name or name == self.name:
                raise
            self.name = name
            return super().open(mode)

    def save(self, name: str, content: File[Any], save: bool = True) -> None:
        """Name the data key, with which the storage encrypts."""
        if settings.ENCRYPT_AT_REST:
            content.data_key = self.instance.sealing_key()  # type: ignore[attr-defined]
        super().save(name, content, save=save)


class SealedFileField(models.FileField):
    """A file field of a model with a ``sealing_key``."""

    attr_class = SealedFieldFile

    def deconstruct(self) -> Any:
        return _as_in_django(super().deconstruct(), models.FileField)


class SealedBytes(bytes):
    """Content that is already encrypted."""


class Stored(NamedTuple):
    """The sealed value of a column until its content is read."""

    sealed: bytes


class _OpenedWhenAsked(DeferredAttribute):
    """Opens the column on access, so that a row can be loaded even if the column does not open.
    Each access raises the error again.
    """

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if isinstance(value, Stored):
            field: Any = self.field
            value = instance.__dict__[field.attname] = field.opened(value)
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class SealedBinaryField(models.BinaryField):
    """A binary field of a model with a ``sealing_key``. Reading the attribute may raise
    Unreadable.
    """

    descriptor_class = _OpenedWhenAsked

    def deconstruct(self) -> Any:
        return _as_in_django(super().deconstruct(), models.BinaryField)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        return self.sealed(model_instance)

    def sealed(self, row: models.Model) -> Any:
        """The stored value of a row's column, for writes that bypass ``pre_save``."""
        value = getattr(row, self.attname)
        if value is None or not settings.ENCRYPT_AT_REST:
            return value
        return self._seal(value, row.sealing_key())  # type: ignore[attr-defined]

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if value is not None and settings.ENCRYPT_AT_REST and not isinstance(value, SealedBytes):
            value = self._seal(value, DataKey.of(None))
        return super().get_db_prep_value(value, connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Stored | bytes | None:
        if value is None:
            return None
        stored = bytes(value)
        return Stored(stored) if sealing.is_sealed(stored) else stored

    def opened(self, stored: Stored) -> bytes:
        """Raises Unreadable."""
        key = key_of(sealing.header_of(stored.sealed).data_key)
        return sealing.unseal(stored.sealed, key=key, place=self._place)

    def _seal(self, value: Any, key: DataKey) -> SealedBytes:
        sealed = sealing.seal(bytes(value), data_key=key.pk, key=key.key, place=self._place)
        return SealedBytes(sealed)

    @property
    def _place(self) -> str:
        return f"{self.model._meta.label}.{self.name}"


def _as_in_django(deconstructed: Any, field: type[models.Field[Any, Any]]) -> Any:
    name, _, arguments, options = deconstructed
    return name, f"django.db.models.{field.__name__}", arguments, options
