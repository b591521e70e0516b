"""Who may change what: the check at the start of every write path function."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied

from accounts.models import User
from screening.models import Patient


def require_writable(*, user: User, patient: Patient) -> None:
    """Raise PermissionDenied unless ``user`` may change records of ``patient``."""
    if not Patient.objects.writable_by(user).contains(patient):
        raise PermissionDenied("You may look at this record, but not change it.")
