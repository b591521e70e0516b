"""Write path of batches: upload, cancel, resume. ``worker`` does the rest."""

from __future__ import annotations

from datetime import date

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.base import File
from django.db import transaction
from django.utils import timezone

from accounts import agreements
from accounts.models import Clinic, User
from accounts.roles import WRITERS
from screening import bells
from screening.batches.archives import ARCHIVE_TOO_LARGE, MAX_ARCHIVE_BYTES, opened
from screening.errors import ArchiveRefused
from screening.images import quota
from screening.models import ACTIVE_BATCH, Batch, BatchRow
from screening.operations import storage
from screening.records import plausibility


def upload_batch(
    *,
    user: User,
    archive: File[bytes],
    clinic: Clinic | None = None,
    dry_run: bool = False,
    captured_on: date | None = None,
    confirms: bool = False,
) -> Batch:
    """Store an archive for a worker to read. Without a clinic, the pictures are of the user's own
    skin.

    Problems that show at once, such as a password, reject it, and nothing is stored. dry_run:
    import nothing until the batch is resumed. captured_on: the day for rows without one; otherwise
    the day in the picture's file, or today. confirms: as of ``register_patient``.
    """
    clinic = clinic or user.bound_clinic
    if clinic is not None and not Clinic.objects.with_member(user, WRITERS).contains(clinic):
        raise PermissionDenied("Your role in this clinic does not let you add pictures.")
    if captured_on is not None and (why := plausibility.wrong_capture_day(captured_on)):
        raise ValidationError({"captured_on": why})
    if archive.size > MAX_ARCHIVE_BYTES:
        raise ValidationError({"archive": ARCHIVE_TOO_LARGE})
    try:
        opened(archive)
    except ArchiveRefused as reason:
        raise ValidationError({"archive": str(reason)}) from None
    of_clinic = clinic.pk if clinic else None
    quota.require_room(archive.size, user=user.pk, clinic=of_clinic, field="archive")
    storage.remove_unfinished()
    batch = Batch(
        clinic=clinic,
        created_by=user,
        dry_run=dry_run,
        captured_on=captured_on,
        archive_bytes=archive.size,
    )
    archive.seek(0)
    batch.archive.save("archive", archive, save=False)
    try:
        with transaction.atomic():
            if clinic is not None:
                agreements.require_confirmation(user=user, clinic=clinic, confirms=confirms)
            quota.take_room(archive.size, user=user.pk, clinic=of_clinic, field="archive")
            batch.save()
            bells.after_commit(bells.work_on_batches)
    except BaseException:
        batch.archive.storage.delete(str(batch.archive.name))
        raise
    return batch


@transaction.atomic
def cancel_batch(*, user: User, batch: Batch) -> Batch:
    """Cancel the batch: no further row is started. Imported rows stay."""
    _require_writable(user=user, batch=batch)
    states = (*ACTIVE_BATCH, Batch.State.CHECKED)
    _move(batch, states, Batch.State.CANCELLED, "This batch has already ended.")
    return batch


@transaction.atomic
def resume_batch(*, user: User, batch: Batch) -> Batch:
    """Continue a cancelled batch, or import what a dry run has checked."""
    _require_writable(user=user, batch=batch)
    if not batch.may_be_resumed:
        gone = not batch.archive and batch.state in (Batch.State.CHECKED, Batch.State.CANCELLED)
        raise ValidationError(
            "Its archive was removed after seven days. Upload it again."
            if gone
            else "This batch cannot be resumed: it is not waiting and was not cancelled."
        )
    if batch.state == Batch.State.CHECKED:
        batch.rows.filter(state=BatchRow.State.CHECKED).update(
            state=BatchRow.State.WAITING, attempts=0
        )
        batch.dry_run = False
    # Rows started before the cancellation get all their attempts again.
    batch.rows.filter(state=BatchRow.State.WAITING).update(attempts=0)
    begun = Batch.State.CHECKING if batch.dry_run else Batch.State.IMPORTING
    _move(
        batch,
        (batch.state,),
        begun if batch.has_rows else Batch.State.QUEUED,
        "Someone else changed this batch in the meantime. Check it again.",
    )
    bells.after_commit(bells.work_on_batches)
    return batch


def _require_writable(*, user: User, batch: Batch) -> None:
    if not Batch.objects.writable_by(user).contains(batch):
        raise PermissionDenied("You may look at this batch, but not change it.")


def _move(batch: Batch, states: tuple[str, ...], state: str, refusal: str) -> None:
    moved = Batch.objects.filter(pk=batch.pk, state__in=states).update(
        state=state,
        dry_run=batch.dry_run,
        failure="",
        attempts=0,
        lease_expires_at=None,
        setbacks=0,
        rests_until=None,
        modified=timezone.now(),
    )
    if not moved:
        raise ValidationError(refusal)
    batch.refresh_from_db()
