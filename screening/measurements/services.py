"""Write path of measurements. Each image is measured once; figures are in its own pixels.

``ml.lesion.measure`` (OpenCV) is loaded only when measuring.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q

from ml.types import MEASURES_VERSION
from screening.measurements.masks import mask_of, masked_prediction, pixels_of
from screening.measurements.queries import LENGTHS, NotOpened
from screening.models import BatchRow, LesionImage, Measurement, Outcome, Prediction

ONE_SWEEP = 50


def measure_image(image: LesionImage) -> Measurement | None:
    """Measure the image within its current outline or mask, once. None if it has neither.

    A picture or mask that cannot be opened gives a failure as its measurement. Raises transient
    errors (``transience``).
    """
    drawn = image.outlines.first()
    prediction = None if drawn else masked_prediction(image)
    if drawn is None and prediction is None:
        return None
    of = {"image": image, "outline": drawn, "prediction": prediction}
    known = {**of, "algorithm_version": MEASURES_VERSION}
    found = Measurement.objects.filter(**known).first()
    if found is not None:
        return found
    result = _measured(image)  # before the transaction, which must not wait for a file
    try:
        with transaction.atomic():
            return Measurement.objects.create(**known, **result)
    except IntegrityError:  # another worker measured it at the same moment
        return Measurement.objects.get(**known)


def unmeasured() -> list[LesionImage]:
    """Some images that the reading that counts found assessable and that nobody has tried to
    measure. Failed ones are in ``setbacks.due``.
    """
    measured = Measurement.objects.filter(algorithm_version=MEASURES_VERSION)
    within = Q(prediction=OuterRef("pk")) | Q(outline__isnull=False, image=OuterRef("image"))
    readings = Prediction.objects.counting().filter(~Exists(measured.filter(within)))
    assessable = readings.filter(maps__isnull=False).exclude(outcome=Outcome.NOT_ASSESSABLE)
    read = LesionImage.objects.present().filter(pk__in=assessable.values("image"))
    of_a_batch = BatchRow.objects.filter(
        image__isnull=False, followed_up=False
    )  # their batch measures them
    left = read.exclude(pk__in=of_a_batch.values("image"))
    return list(left.filter(setback=None).order_by("created")[:ONE_SWEEP])


def _measured(image: LesionImage) -> dict[str, Any]:
    from ml.lesion.measure import NotMeasurable, measure

    try:
        pixels = pixels_of(image)
        mask = mask_of(image, pixels.shape[:2])
    except NotOpened as reason:
        return {"failure": str(reason)}
    if mask is None:
        return {"failure": "There is neither a mask nor an outline to measure within."}
    try:
        values = asdict(measure(pixels, mask))
    except NotMeasurable as reason:
        return {"failure": str(reason)}
    larger = image.width / pixels.shape[1]
    values["area_px"] *= larger**2
    values["centre"] = [larger * value for value in values["centre"]]
    return {"values": values | {name: larger * values[name] for name in LENGTHS}}
