"""Closing a lesion that was removed, and opening it again. Each leaves a Correction."""

from __future__ import annotations

from datetime import date

from django.db import transaction

from accounts.models import User
from screening.intake import require_writable
from screening.models import (
    Closing,
    Correction,
    CorrectionKind,
    DoctorVisit,
    Finding,
    Histology,
    Lesion,
    Management,
    Review,
)


@transaction.atomic
def close(*, user: User, lesion: Lesion, on: date) -> None:
    """Post: nobody is reminded of it or alerted by it. A closed lesion stays as it is."""
    if not lesion.is_closed:
        _set(lesion, user, CorrectionKind.CLOSED, on, Closing.EXCISED, user)


@transaction.atomic
def reopen(*, user: User, lesion: Lesion) -> Lesion:
    """Post: it is followed again, with the reminder that it had. An open one stays as it is."""
    require_writable(user=user, patient=lesion.patient)
    lesion = Lesion.objects.select_for_update().select_related("patient").get(pk=lesion.pk)
    if lesion.is_closed:
        _set(lesion, user, CorrectionKind.REOPENED, None, "", None)
    return lesion


@transaction.atomic
def reopen_unless_removed(*, user: User, lesion: Lesion) -> None:
    """After an act was taken back, or is somewhere else. Post: the lesion is followed again, unless
    one that stands still says that it was removed."""
    lesion = Lesion.everything.select_for_update(no_key=True).get(pk=lesion.pk)
    acts = (
        DoctorVisit.objects.filter(lesion=lesion, finding=Finding.REMOVED),
        Histology.objects.standing().filter(lesion=lesion, excised=True),
        Review.objects.standing().filter(image__in=lesion.images.all(), management=Management.DONE),
    )
    if lesion.is_closed and not any(found.exists() for found in acts):
        _set(lesion, user, CorrectionKind.REOPENED, None, "", None)


def _set(
    lesion: Lesion, user: User, kind: str, on: date | None, because: str, by: User | None
) -> None:
    before = {"closed_on": lesion.closed_on.isoformat() if lesion.closed_on else None}
    lesion.closed_on, lesion.closed_because, lesion.closed_by = on, because, by
    lesion.save(update_fields=["closed_on", "closed_because", "closed_by", "modified"])
    Correction.objects.create(
        kind=kind,
        made_by=user,
        patient=lesion.patient,
        lesion=lesion,
        before=before,
        after={"closed_on": on.isoformat() if on else None},
    )
