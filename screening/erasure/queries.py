"""Read path of erasure: what is pending, and how much would go."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.models import User
from screening.erasure import receipts
from screening.models import (
    Erasure,
    ErasureState,
    Histology,
    Lesion,
    LesionImage,
    Patient,
    Prediction,
    Review,
)
from screening.models.signatures import RECEIPT, sign

SHOWN = 100


def of(user: User) -> QuerySet[Erasure]:
    """Erasures that the user sees, with those that can still be undone first."""
    found = Erasure.objects.visible_to(user).select_related(
        "patient", "clinic", "asked_by", "confirmed_by"
    )
    return found.order_by("-created", "-pk")[:SHOWN]


def extent_of(patient: Patient) -> dict[str, int]:
    return _extent(Q(pk=patient.pk))


def extent_of_account(user: User) -> dict[str, int]:
    """Of the records that nobody else has a right to."""
    return _extent(Q(owner=user, clinic=None))


def announcement(erasure: Erasure) -> dict[str, Any]:
    """What is going to be erased, signed; empty if nothing is."""
    if erasure.state != ErasureState.PENDING or erasure.erased_from is None:
        return {}
    of = Q(owner=erasure.user_id, clinic=None) if erasure.user_id else Q(pk=erasure.patient_id)
    content = {
        "announcement": str(erasure.pk),
        "site": settings.SITE_URL,
        "erased_from": erasure.erased_from.isoformat(timespec="seconds"),
        "to_be_erased": _extent(of) | ({"account": 1} if erasure.user_id else {}),
        "left_to_others": len(erasure.parted),
        "backups": receipts.BACKUPS,
        "logs": receipts.logs(),
    }
    return {**content, "signature": sign(content, RECEIPT)}


def _extent(of: Q) -> dict[str, int]:
    patients = Patient.everything.filter(of)
    lesions = Lesion.everything.filter(patient__in=patients)
    images = LesionImage.everything.filter(lesion__in=lesions)
    return {
        "records": patients.count(),
        "spots": lesions.count(),
        "pictures": images.count(),
        "readings": Prediction.objects.filter(image__in=images).count(),
        "conclusions": Review.objects.filter(image__in=images).count(),
        "histologies": Histology.everything.filter(lesion__in=lesions).count(),
    }
