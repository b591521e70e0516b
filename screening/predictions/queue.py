"""The life cycle of a prediction: claimed by one worker, read, finished. ``recovery`` finds lost
ones.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from PIL import Image

from ml import reader
from ml.inference.views import EVIDENCE_CELL
from ml.opening import pictures
from ml.types import Outcome, Reading
from screening import bells
from screening.errors import Busy, KeyMissing, ReadingError
from screening.models import (
    Event,
    LesionImage,
    Modality,
    Prediction,
    PredictionMaps,
    State,
)
from screening.operations.transience import MAX_SETBACKS, insist, is_transient, pause
from screening.predictions import adoption, default_reading, details
from screening.predictions.details import CLINICAL_PHOTOGRAPH, context_of
from screening.webhooks import outbox

logger = logging.getLogger(__name__)

_STORED = (
    "reason",
    "remarks",
    "p_malignant",
    "probabilities",
    "balanced_probabilities",
    "image_logits",
    "context_terms",
    "in_distribution",
    "thresholds_version",
    "duration_ms",
)

AWAY = "The stored picture could not be reached for a day. It is kept. Try again."


def process(pk: UUID) -> None:
    """Claim and read the prediction, then start the follow-up. Does nothing if another worker
    claimed it.
    """
    prediction = claim(pk)
    if prediction is not None and read(prediction):
        bells.follow_up(prediction.image_id)


def read_for_someone() -> bool:
    """Read one image that a person is waiting for, if there is any. An error does not concern what
    the worker is at: it is logged.
    """
    waiting = Prediction.objects.claimable().filter(is_bulk=False).order_by("created")
    pk = waiting.values_list("pk", flat=True).first()
    if pk is None:
        return False
    try:
        process(pk)
    except Exception:
        logger.exception("prediction %s: failed between two steps of other work", pk)
        return False
    return True


def claim(pk: UUID) -> Prediction | None:
    """QUEUED -> RUNNING, for one caller only; None for every other.

    The caller owns the prediction until the lease expires. ``attempts`` numbers the claim, so that
    a worker that lost its lease cannot finish the work of a later claim.
    """
    now = timezone.now()
    claimed = (
        Prediction.objects.claimable()
        .filter(pk=pk)
        .update(
            state=State.RUNNING,
            attempts=F("attempts") + 1,
            started_at=now,
            lease_expires_at=now + timedelta(seconds=settings.PREDICTION_LEASE_SECONDS),
            modified=now,
        )
    )
    if not claimed:
        return None
    return Prediction.objects.select_related("image__lesion__patient").get(pk=pk)


def read(prediction: Prediction) -> bool:
    """RUNNING -> SUCCEEDED, or FAILED with a message for the user.

    After a transient error the prediction returns to QUEUED and the result is False. Bugs are
    logged and re-raised.
    """
    try:
        result, reading = _result(prediction)
    except ReadingError as error:
        failure = str(error)
        insist(lambda: finish(prediction, state=State.FAILED, failure=failure))
    except Exception as error:
        if is_transient(error):
            _put_off(prediction, error)
            return False
        logger.exception("prediction %s: reading failed", prediction.pk)
        insist(
            lambda: finish(
                prediction,
                state=State.FAILED,
                failure="Something went wrong while the picture was read. It is kept. Try again.",
            )
        )
        raise
    else:
        try:
            insist(lambda: _succeed(prediction, result, reading))
        except KeyMissing as error:  # its maps cannot be stored
            _put_off(prediction, error)
            return False
    return True


@transaction.atomic
def _succeed(prediction: Prediction, result: dict[str, Any], reading: Reading | None) -> None:
    if finish(prediction, state=State.SUCCEEDED, **result) and reading is not None:
        _keep_maps(prediction, reading)


def _put_off(prediction: Prediction, error: Exception) -> None:
    """RUNNING -> QUEUED, to be claimed again after a pause; the attempt does not count. FAILED
    after a day of such errors.
    """
    logger.warning("prediction %s: put off, %s", prediction.pk, type(error).__name__)
    setbacks, now = prediction.setbacks + 1, timezone.now()
    if setbacks > MAX_SETBACKS:
        insist(lambda: finish(prediction, state=State.FAILED, failure=AWAY))
        return
    mine = Prediction.objects.filter(
        pk=prediction.pk, state=State.RUNNING, attempts=prediction.attempts
    )
    insist(
        lambda: mine.update(
            state=State.QUEUED,
            attempts=prediction.attempts - 1,
            setbacks=setbacks,
            rests_until=now + pause(setbacks),
            rung_at=None,
            lease_expires_at=None,
            modified=now,
        )
    )


def _result(prediction: Prediction) -> tuple[dict[str, Any], Reading | None]:
    """The fields to store and the reading they come from; None if no model reads the image."""
    image = prediction.image
    try:
        model = reader.load(prediction.model_version)
    except reader.ModelUnavailable:
        if prediction.model_version == adoption.default() != adoption.own_version():
            raise Busy("a process of the newer release reads it") from None
        logger.exception("prediction %s: no model", prediction.pk)
        raise ReadingError(
            "The model that reads pictures is not available. The picture is kept. Try again later."
        ) from None
    if image.modality == Modality.CLINICAL:
        return {
            "outcome": Outcome.NOT_ASSESSABLE.value,
            "reason": CLINICAL_PHOTOGRAPH,
            "weights_sha256": model.weights_sha256,
        }, None
    try:
        with image.file.open("rb") as file:
            pixels = pictures.load_pixels(file)
    except OSError as error:
        if is_transient(error):
            raise
        logger.exception("prediction %s: the stored image cannot be opened", prediction.pk)
        raise ReadingError(
            "The stored picture could not be opened. It is kept in the record. Try again later."
        ) from None
    context = context_of(image)
    reading = model.read(pixels, context)
    return {
        **{name: getattr(reading, name) for name in _STORED},
        "outcome": reading.outcome.value,
        "context": asdict(context),
        "weights_sha256": model.weights_sha256,
    }, reading


def _keep_maps(prediction: Prediction, reading: Reading) -> None:
    mask, features = BytesIO(), reading.features
    Image.fromarray(reading.mask).convert("L").save(mask, "PNG")
    PredictionMaps.objects.create(
        prediction=prediction,
        mask=mask.getvalue(),
        evidence=reading.evidence.round(5).tolist(),
        evidence_cell=EVIDENCE_CELL,
        bias=reading.bias,
        features=None if features is None else features.astype(np.float16).tobytes(),
    )


@transaction.atomic
def finish(prediction: Prediction, *, state: State, **fields: Any) -> bool:
    """Finish the prediction. Returns False, and writes nothing, if another worker has taken
    over.
    """
    now = timezone.now()
    finished = Prediction.objects.filter(
        pk=prediction.pk, state=State.RUNNING, attempts=prediction.attempts
    ).update(state=state, lease_expires_at=None, finished_at=now, modified=now, **fields)
    if not finished:
        logger.warning("prediction %s: the lease was lost before it was finished", prediction.pk)
        return False
    succeeded = state == State.SUCCEEDED
    if succeeded and default_reading.count(prediction):
        # The details may have been corrected during the reading.
        details.queue_again(Prediction.objects.filter(pk=prediction.pk))
        details.queue_by_default(prediction)
    elif not succeeded:
        details.queue_by_default(prediction)  # queued for a version whose network was removed
    # Reload: the image may have been moved or withdrawn since the claim.
    images = LesionImage.objects.present().select_related("lesion__patient")
    image = images.filter(pk=prediction.image_id).first()
    if image is not None:
        outbox.announce_about(
            image.lesion.patient,
            Event.PREDICTION_FINISHED if succeeded else Event.PREDICTION_FAILED,
            prediction=prediction.pk,
            image=image.pk,
            lesion=image.lesion_id,
        )
    return True
