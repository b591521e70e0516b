"""The permission check at the start of every write path function, and the locks."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db.models import Model

from accounts.models import User
from screening.models import Patient

_ABOVE = ("patient", "lesion", "image")


def require_writable(*, user: User, patient: Patient) -> None:
    """Raise PermissionDenied unless ``user`` may change records of ``patient``."""
    if not Patient.objects.writable_by(user).contains(patient):
        raise PermissionDenied("You may look at this record, but not change it.")


def lock(record: Model) -> None:
    """Lock the record until the transaction ends, and before it the patient, lesion and image it
    belongs to. All code locks in this order, so there are no deadlocks.
    """
    of = [field for field in record._meta.concrete_fields if field.name in _ABOVE]
    for field in sorted(of, key=lambda field: _ABOVE.index(field.name)):
        if (above := getattr(record, field.name)) is not None:
            lock(above)
    record._meta.model._base_manager.select_for_update(no_key=True).get(pk=record.pk)
