"""Who may change what: the one question that every write path asks first."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied

from accounts.models import User
from screening.models import Patient


def require_writable(*, user: User, patient: Patient) -> None:
    """Raise PermissionDenied unless ``user`` may change what belongs to ``patient``."""
    if not Patient.objects.writable_by(user).contains(patient):
        raise PermissionDenied("Your role allows looking at this record, not changing it.")
