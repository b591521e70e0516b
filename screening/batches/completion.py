"""The end of a batch, and the removal of its archive."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from screening.models import ACTIVE, Batch, BatchRow, Event
from screening.webhooks import outbox


def end_if_done(batch: Batch) -> None:
    """CHECKING -> CHECKED or IMPORTING -> FINISHED, once no row waits and no image is unread."""
    rows = batch.rows.all()
    if rows.filter(state__in=(BatchRow.State.WAITING, BatchRow.State.RUNNING)).exists():
        return
    this = Batch.objects.filter(pk=batch.pk, state=batch.state)
    if batch.state == Batch.State.CHECKING:
        this.update(state=Batch.State.CHECKED, modified=timezone.now())
    elif not rows.filter(prediction__state__in=ACTIVE).exists() and _finish(this, batch):
        remove_archive(batch)


@transaction.atomic
def _finish(this: QuerySet[Batch], batch: Batch) -> bool:
    """Returns whether this caller finished it, so that the event is announced once."""
    now = timezone.now()
    if not this.update(state=Batch.State.FINISHED, finished_at=now, modified=now):
        return False
    owner = batch.created_by_id if batch.is_own else None
    outbox.announce(Event.BATCH_FINISHED, clinic_id=batch.clinic_id, owner_id=owner, batch=batch.pk)
    return True


def refuse(batch: Batch, reason: str) -> None:
    """Reject the batch as a whole, and delete its rows and archive."""
    refused = Batch.objects.filter(pk=batch.pk, state=Batch.State.QUEUED).update(
        state=Batch.State.REFUSED, failure=reason[:400], lease_expires_at=None
    )
    if refused:
        batch.rows.all().delete()
        remove_archive(batch)


def remove_archive(batch: Batch) -> None:
    """Delete the archive, because its originals contain what the stored images do not: GPS
    positions, names in comments.
    """
    if batch.archive:
        batch.archive.storage.delete(str(batch.archive.name))
        Batch.objects.filter(pk=batch.pk).update(archive="")
