"""Write path of exports: ask for one, remove one. ``worker`` does the rest."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from accounts.models import User
from accounts.services import lock_person
from screening import bells
from screening.images import quota
from screening.models import Export, LesionImage, Patient

A_DAY = 20
"""Exports that a person may request in a day: each keeps a worker busy for a while."""
NO_ROOM = (
    "Files that were made before take {}. Remove one, or wait until it is removed after a week, "
    "and ask again."
)
REVIEW_FIRST = (
    "Your clinic reviews before reading, and pictures of this patient wait for your conclusion. "
    "Conclude on them first, or ask an admin who has."
)


@transaction.atomic
def request_export(*, user: User, patient: Patient | None = None) -> Export:
    """Queue an export of the account with all own records, or of one ``patient``. An unfinished one
    is returned instead.
    """
    require_exportable(user=user, patient=patient)
    lock_person(user)
    asked = Export.objects.filter(requested_by=user, patient=patient)
    active = asked.filter(state__in=(Export.State.QUEUED, Export.State.RUNNING)).first()
    if active is not None:
        return active
    a_day_ago = timezone.now() - timedelta(days=1)
    if Export.objects.filter(requested_by=user, created__gt=a_day_ago).count() >= A_DAY:
        raise ValidationError("Too many for one day. Try again tomorrow.")
    export = Export.objects.create(requested_by=user, patient=patient)
    bells.after_commit(bells.work_on_exports)
    return export


def require_room(*, export: Export, size: int) -> None:
    """Raise ValidationError if a file of ``size`` bytes exceeds the quota of the clinic or account.

    Export files are temporary and have a quota of the same size of their own, so that no download
    prevents an upload. The file to be replaced does not count.
    """
    clinic = export.patient.clinic_id if export.patient else None
    if clinic is None:
        own = Q(patient=None) | Q(patient__clinic=None)
        files, most = Q(own, requested_by=export.requested_by_id), settings.ACCOUNT_STORAGE_MB
    else:
        files, most = Q(patient__clinic=clinic), settings.CLINIC_STORAGE_MB
    others = Export.objects.filter(files, state=Export.State.READY).exclude(pk__in=before(export))
    used = others.aggregate(sum=Sum("file_bytes"))["sum"] or 0
    storage = quota.Storage(used, most * 10**6)
    if used + size > storage.most:
        raise ValidationError(NO_ROOM.format(storage))


def before(export: Export) -> QuerySet[Export]:
    """Ready exports of the same record for the same person, which the new file replaces."""
    same = Export.objects.filter(requested_by=export.requested_by_id, patient=export.patient_id)
    return same.exclude(pk=export.pk)


def remove(*, user: User, export: Export) -> None:
    """Delete the file now. The row stays, with when it was requested and downloaded."""
    if export.requested_by_id != user.pk:
        raise PermissionDenied("Only whoever asked for it removes it.")
    if export.is_active:
        raise ValidationError("It is being put together. Wait until it is ready.")
    end(Export.objects.filter(pk=export.pk))


def end(exports: QuerySet[Export]) -> None:
    """READY -> ENDED, and the files are deleted. A file that cannot be deleted now has no row and
    is deleted as an orphan.
    """
    for export in exports.filter(state=Export.State.READY):
        storage, name = export.file.storage, str(export.file.name)
        ended = Export.objects.filter(pk=export.pk, state=Export.State.READY)
        if ended.update(state=Export.State.ENDED, file="", modified=timezone.now()):
            storage.delete(name)


def forget(patients: Collection[UUID]) -> list[str]:
    """Remove erased patients from all exports. READY -> ENDED if the file contains one of them;
    unfinished exports of their owner start again.

    Returns the files, which the caller deletes. Only within a transaction.
    """
    owners = Patient.everything.filter(pk__in=patients).values("owner")
    begun = Export.objects.filter(Q(patient__in=patients) | Q(requested_by__in=owners))
    begun.filter(state=Export.State.RUNNING).update(
        state=Export.State.QUEUED, lease_expires_at=None
    )
    files, gone = [], {str(pk) for pk in patients}
    for export in Export.objects.select_for_update().exclude(patients=[]):
        if not gone.intersection(export.patients):
            continue
        if export.state == Export.State.READY:
            files.append(str(export.file.name))
            export.state, export.file = Export.State.ENDED, ""
        export.patients = [pk for pk in export.patients if pk not in gone]
        export.save(update_fields=["state", "file", "patients", "modified"])
    return files


def require_exportable(*, user: User, patient: Patient | None) -> None:
    """Raise PermissionDenied unless ``user`` may export the record, and ValidationError if it holds
    findings on which the clinic wants them to conclude first.
    """
    if patient is None:
        if user.bound_clinic is not None:
            raise PermissionDenied("This key is of a clinic: name one of its patients.")
        return
    if not Patient.objects.exportable_by(user).contains(patient):
        raise PermissionDenied("Only the person and admins of the clinic export a whole record.")
    if LesionImage.everything.withheld_from(user).filter(lesion__patient=patient).exists():
        raise ValidationError(REVIEW_FIRST)
