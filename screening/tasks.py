"""Celery's entry points: thin wrappers that nobody imports. The rooms do the work."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from celery import shared_task  # noqa: TID251  the one place for tasks
from celery.signals import worker_process_init, worker_ready
from django.utils import timezone
from oauth2_provider.models import AccessToken

from accounts import invitations
from accounts import services as accounts
from accounts.models import UsedAssertion
from ml import reader
from screening import bells, idempotency, sweeper
from screening.batches import worker
from screening.comparisons import follow_up
from screening.erasure import eraser
from screening.exports import worker as export_worker
from screening.interop.dicomweb import sending, stow
from screening.operations import heartbeats, orphans, storage
from screening.predictions import adoption, queue, recovery
from screening.privacy import services as audit
from screening.reminders import emails
from screening.webhooks import delivery as webhook_delivery
from screening.webhooks import outbox

logger = logging.getLogger(__name__)


@shared_task
def read_prediction_task(prediction_id: str) -> None:
    queue.process(UUID(prediction_id))


@shared_task
def follow_up_task(image_id: str) -> None:
    follow_up.follow_up(UUID(image_id))


@shared_task
def compare_task(image_ids: list[str]) -> None:
    follow_up.compare(image_ids)


@shared_task(
    soft_time_limit=worker.LONGEST_SHIFT_SECONDS - 10, time_limit=worker.LONGEST_SHIFT_SECONDS
)
def work_on_batches_task() -> None:
    """Work for one shift."""
    if worker.has_work():
        worker.work(seconds=worker.SHIFT_SECONDS, ring=bells.work_on_batches)


@shared_task(soft_time_limit=sweeper.LONGEST_EXPORT - 10, time_limit=sweeper.LONGEST_EXPORT)
def work_on_exports_task() -> None:
    """Build one export, and ring for the next."""
    if export_worker.work() and export_worker.has_work():
        bells.work_on_exports()


@shared_task(soft_time_limit=25, time_limit=30)
def deliver_webhook_task(delivery_id: str) -> None:
    delivery = webhook_delivery.claim(UUID(delivery_id))
    if delivery is not None:
        webhook_delivery.deliver(delivery)


@shared_task(soft_time_limit=stow.SECONDS + 20, time_limit=sending.LEASE_SECONDS - 20)
def store_in_node_task(delivery_id: str) -> None:
    delivery = sending.claim(UUID(delivery_id))
    if delivery is not None:
        sending.deliver(delivery)


@shared_task
def chain_audit_entries_task() -> None:
    audit.chain_all()


@shared_task
def close_old_audit_segment_task() -> None:
    audit.close_old_segment()


@shared_task
def forget_old_deliveries_task() -> None:
    webhook_delivery.forget_old()


@shared_task(soft_time_limit=3500, time_limit=3600)
def remove_orphans_task() -> None:
    orphans.remove()


@shared_task(soft_time_limit=3500, time_limit=3600)
def erase_task() -> None:
    eraser.erase_due()


@shared_task
def beat_task() -> None:
    """Report that beat is alive and that its messages reach a worker."""
    heartbeats.beat(heartbeats.BEAT)


@shared_task
def forget_answers_and_tokens_task() -> None:
    """Delete expired data: stored responses, tokens, sessions and unfinished files."""
    idempotency.forget_old()
    storage.remove_unfinished()
    heartbeats.forget_old()
    accounts.forget_ended_sessions()
    AccessToken.objects.filter(expires__lt=timezone.now()).delete()
    UsedAssertion.objects.filter(expires_at__lt=timezone.now()).delete()


@shared_task
def mail_reminders_task() -> None:
    for user_id, reminder_ids in emails.addressees().items():
        mail_digest_task.delay(str(user_id), [str(pk) for pk in reminder_ids])


@shared_task
def mail_digest_task(user_id: str, reminder_ids: list[str]) -> None:
    emails.send(UUID(user_id), [UUID(pk) for pk in reminder_ids])


@shared_task
def mail_invitations_task() -> None:
    for invitation in invitations.unmailed():
        invitations.mail(invitation)


@worker_ready.connect
def _ring_for_all_that_waits(**_: Any) -> None:
    """Ring for waiting work: the embedded broker starts empty, and Redis may have lost messages."""
    adoption.adopt_own()
    sweeper.sweep_batches()
    sweeper.sweep_exports()
    for prediction in recovery.sweep(rung_before=timezone.now()):
        if not bells.read(prediction):
            return
    outbox.ring(again_after=0)


@worker_process_init.connect
def _load_the_model(sender: str | None = None, **_: Any) -> None:
    """Load the model before the first person waits for it. Each reading reports a missing model
    itself.
    """
    if str(sender).startswith("courier@"):  # a courier only sends, and reads nothing
        return
    try:
        reader.load()
    except reader.ModelUnavailable:
        logger.exception("this worker has no model to read with")
