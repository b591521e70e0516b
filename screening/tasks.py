"""Celery shells. The work is in the rooms above; the database row is the truth."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import shared_task  # noqa: TID251  the one place for tasks
from celery.signals import worker_process_init, worker_ready
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from oauth2_provider.models import AccessToken

from accounts import invitations
from ml import reader
from screening import idempotency
from screening.comparisons import alert_rules, setbacks
from screening.comparisons import services as comparison_services
from screening.measurements import services as measurement_services
from screening.models import LesionImage, Prediction
from screening.operations import heartbeats, storage
from screening.operations.transience import is_transient
from screening.predictions import details, queue
from screening.reminders import emails
from screening.webhooks import delivery as webhook_delivery

logger = logging.getLogger(__name__)

COMPARED_WITHIN = 30
"""Seconds after which a worker is told again of a comparison that someone waits for."""


@shared_task
def read_prediction_task(prediction_id: str) -> None:
    prediction = queue.claim(UUID(prediction_id))
    if prediction is not None:
        if queue.read(prediction):
            _ring(follow_up_task, prediction.image_id)
        _tell_the_couriers()


@shared_task
def follow_up_task(image_id: str) -> None:
    """What a new picture is worth beside the others: measures, comparisons, alerts."""
    image = LesionImage.objects.present().filter(pk=UUID(image_id)).first()
    if image is None:  # withdrawn meanwhile
        return
    times = setbacks.begin(image)
    try:
        measurement_services.measure_image(image)
        for comparison in comparison_services.compare_with_neighbours(image):
            alert_rules.look_at(comparison)
    except Exception as error:
        is_new = times == 1 and not is_transient(error)
        logger.warning("image %s: not followed up (%d)", image.pk, times, exc_info=is_new)
    else:
        setbacks.end(image)
    _tell_the_couriers()


@shared_task
def compare_task(image_ids: list[str]) -> None:
    """Two images that someone wants to see beside one another."""
    images = list(LesionImage.objects.present().filter(pk__in=image_ids))
    if len({image.lesion_id for image in images}) == 1 and len(images) == 2:  # not moved meanwhile
        comparison_services.compare(*images)


@shared_task(soft_time_limit=25, time_limit=30)
def deliver_webhook_task(delivery_id: str) -> None:
    delivery = webhook_delivery.claim(UUID(delivery_id))
    if delivery is not None:
        webhook_delivery.deliver(delivery)


@shared_task
def forget_old_deliveries_task() -> None:
    webhook_delivery.forget_old()


def sweep_webhooks() -> None:
    _tell_the_couriers()


def sweep_predictions() -> None:
    age = timedelta(seconds=settings.PREDICTION_LEASE_SECONDS)
    details.queue_some_again()
    for prediction in queue.sweep(rung_before=timezone.now() - age):
        if not _tell_a_worker(prediction):
            return
    unmeasured, uncompared = measurement_services.unmeasured(), comparison_services.uncompared()
    for image in (*unmeasured, *uncompared, *setbacks.due()):
        if not _ring(follow_up_task, image.pk):
            return


@shared_task
def beat_task() -> None:
    """Beat lives, and so does its way to a worker."""
    heartbeats.beat(heartbeats.BEAT)


@shared_task
def forget_answers_and_tokens_task() -> None:
    """What is kept for a time only: answers to repeated requests, tokens that have run out, files
    that nobody finished."""
    idempotency.forget_old()
    storage.remove_unfinished()
    heartbeats.forget_old()
    AccessToken.objects.filter(expires__lt=timezone.now()).delete()


@shared_task
def mail_reminders_task() -> None:
    for user_id, reminder_ids in emails.addressees().items():
        mail_digest_task.delay(str(user_id), [str(pk) for pk in reminder_ids])


@shared_task
def mail_digest_task(user_id: str, reminder_ids: list[str]) -> None:
    emails.send(UUID(user_id), [UUID(pk) for pk in reminder_ids])


@shared_task
def mail_invitations_task() -> None:
    invitations.mail_waiting()


def _ring(task: Any, identifier: UUID, *, queue: str | None = None) -> bool:
    """Whether the broker took it. One that is away is no reason to fail: the row waits, and is
    found without a bell; but there is no need to try it with five hundred others."""
    try:
        task.apply_async((str(identifier),), queue=queue)
    except Exception as error:
        logger.warning("%s: no bell, %s", task.name, type(error).__name__)
        return False
    return True


def _tell_a_worker(prediction: Prediction) -> bool:
    queue = "bulk" if prediction.is_bulk else "interactive"
    return _ring(read_prediction_task, prediction.pk, queue=queue)


def _tell_the_couriers(*, again_after: int = webhook_delivery.LEASE_SECONDS) -> None:
    """Ring for every delivery that is due, but not again within so many seconds."""
    for pk in webhook_delivery.due(rung_before=timezone.now() - timedelta(seconds=again_after)):
        if not _ring(deliver_webhook_task, pk, queue="webhooks"):
            return


def ring_webhooks() -> None:
    """Have what was announced sent once the transaction is committed, as ``ring`` does."""
    transaction.on_commit(_tell_the_couriers, robust=True)


def ring(prediction: Prediction) -> None:
    """Tell a worker of a queued prediction once the transaction is committed.

    Robust, unlike ``delay_on_commit``: a broker that is down must not turn a stored image into an
    error page. The row stays queued and the sweep rings again.
    """

    def tell_a_worker() -> None:  # a function, since Django logs the name of what failed
        _tell_a_worker(prediction)

    transaction.on_commit(tell_a_worker, robust=True)


def follow_up(image: LesionImage) -> None:
    """Have the image measured and compared once the transaction is committed, as ``ring`` does."""

    def tell_a_worker() -> None:
        _ring(follow_up_task, image.pk)

    transaction.on_commit(tell_a_worker, robust=True)


def compare(one: LesionImage, other: LesionImage) -> None:
    """Have two images compared, as ``ring`` does: once, however often a page asks meanwhile."""
    pair = sorted([str(one.pk), str(other.pk)])

    def tell_a_worker() -> None:
        compare_task.apply_async((pair,), queue="interactive")

    if cache.add(f"compare-{'-'.join(pair)}", True, COMPARED_WITHIN):
        transaction.on_commit(tell_a_worker, robust=True)


@worker_ready.connect
def _ring_for_all_that_waits(**_: Any) -> None:
    """The embedded broker starts empty, and Redis may have lost messages."""
    for prediction in queue.sweep(rung_before=timezone.now()):
        if not _tell_a_worker(prediction):
            return
    _tell_the_couriers(again_after=0)


@worker_process_init.connect
def _load_the_model(sender: str | None = None, **_: Any) -> None:
    """So that the first person does not wait. Each reading reports a missing model itself."""
    if str(sender).startswith("courier@"):  # sends webhooks only, and reads nothing
        return
    try:
        reader.load()
    except reader.ModelUnavailable:
        logger.exception("this worker has no model to read with")
