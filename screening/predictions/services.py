"""Write path of predictions: request a reading, or another one."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts.models import User
from ml import reader
from screening import bells
from screening.models import LesionImage, Prediction
from screening.models.image import present
from screening.predictions import adoption, details
from screening.write_access import require_writable


@transaction.atomic
def request_prediction(*, user: User, image: LesionImage) -> Prediction:
    """Queue a reading of the image by the current model, unless one is queued already.

    Raises PermissionDenied for users who must conclude first, because they may not know of the
    reading yet.
    """
    require_writable(user=user, patient=image.lesion.patient)
    if LesionImage.objects.withheld_from(user).contains(image):
        raise PermissionDenied("Record your own conclusion on this picture first.")
    # If two requests arrive at the same moment, the constraint lets only one through.
    prediction, is_new = Prediction.objects.active().get_or_create(
        image=image, model_version=adoption.default(), defaults={"requested_by": user}
    )
    if is_new:
        bells.after_commit(bells.read, prediction)
    return prediction


@transaction.atomic
def rescreen(*, image: LesionImage, model_version: str) -> Prediction | None:
    """Queue a reading by another model version, after all readings that someone is waiting for.

    Returns None if that version has read the image with its current thresholds or is about to. The
    default version reads again if its reading does not count, as after another version was the
    default. Earlier readings are kept unchanged.
    """
    of_version = image.predictions.filter(model_version=model_version)
    thresholds = reader.card(model_version)["thresholds_version"]
    read = of_version.finished().filter(thresholds_version=thresholds)
    if model_version == adoption.default():
        read = read.counting()
    if of_version.active().exists() or read.exists():
        return None
    return enqueue(image, image.uploaded_by, model_version=model_version, is_bulk=True)


def read_with_new_details(**of: Any) -> None:
    """Queue the images whose readings used details that have changed. Call it after any change to
    age, sex, body site, day or kind; ``of`` filters the predictions.
    """
    for prediction in details.queue_again(Prediction.objects.filter(**of)):
        bells.after_commit(bells.read, prediction)


def read_by_default(**of: Any) -> None:
    """Queue the images whose counting reading is by another version, and which the default version
    has not tried. Call it when pictures are put back; ``of`` filters the predictions.
    """
    readings = Prediction.objects.counting().filter(present(), **of)
    for reading in readings.select_related("image"):
        for prediction in details.queue_by_default(reading):
            bells.after_commit(bells.read, prediction)


def enqueue(
    image: LesionImage,
    user: User,
    *,
    model_version: str = "",
    is_bulk: bool = False,
    ring: bool = True,
) -> Prediction:
    """model_version: not the default."""
    version = model_version or adoption.default()
    prediction = Prediction.objects.create(
        image=image, requested_by=user, model_version=version, is_bulk=is_bulk
    )
    if ring:
        bells.after_commit(bells.read, prediction)
    return prediction
