"""Measures of images: what stands for one, and taking them. Figures are in the image's own pixels.

Also used where only numbers are shown, so ``ml.measure`` (OpenCV) is loaded where it measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from PIL import Image, ImageDraw

from accounts.models import User
from ml import reader
from ml.types import MEASURES_VERSION
from screening import imaging
from screening.faults import is_transient
from screening.models import (
    BatchRow,
    ImageScale,
    LesionImage,
    Measurement,
    Outcome,
    Outline,
    Prediction,
    PredictionMaps,
)

SIDE = 512
"""The longer side of the copy that is measured; the masks are coarser still."""
LENGTHS = ("longest_diameter_px", "shortest_diameter_px", "perimeter_px")
ONE_SWEEP = 50

Mask = npt.NDArray[np.bool_]


class NotOpened(OSError):
    """A stored picture is lost or damaged: to try again is of no use. Its text is for people."""


def last_tried(image: LesionImage) -> Measurement | None:
    """The last one within a drawn outline or the mask of the reading that counts, failed or not.
    No query where ``measurements`` are prefetched with their ``prediction``."""
    of = image.measurements.all()
    return next((one for one in of if one.prediction is None or one.prediction.counts), None)


def current(image: LesionImage) -> Measurement | None:
    """What stands: what was measured last, never older figures where that failed."""
    last = last_tried(image)
    return last if last is not None and not last.failure else None


def outlines_of(*images: LesionImage) -> str:
    """Names the drawn outlines that stand in the images; empty where none does. What was found
    within others is to be found anew. No query where ``outlines`` are prefetched."""
    drawn = [next(iter(image.outlines.all()), None) for image in images]
    return " ".join(one.pk.hex if one else "-" for one in drawn) if any(drawn) else ""


def scale_of(image: LesionImage) -> float | None:
    """Millimetres a pixel, or None. No query where ``with_scale`` has found it."""
    if "mm_per_pixel" in image.__dict__:
        found: float | None = image.__dict__["mm_per_pixel"]
        return found
    scale: ImageScale | None = image.scales.first()
    return scale.mm_per_pixel if scale else None


def with_scale(images: QuerySet[LesionImage]) -> QuerySet[LesionImage]:
    """Annotate what ``scale_of`` tells."""
    scales = ImageScale.objects.filter(image=OuterRef("pk")).values("mm_per_pixel")
    return images.annotate(mm_per_pixel=Subquery(scales[:1]))


def in_millimetres(
    values: Mapping[str, Any], mm_per_pixel: float | None
) -> dict[str, float | None]:
    """``area_mm2`` and the lengths in ``_mm``; all None without a scale."""
    found: dict[str, float | None] = {"area_mm2": None}
    found |= {name.replace("_px", "_mm"): None for name in LENGTHS}
    if mm_per_pixel is not None:
        found["area_mm2"] = values["area_px"] * mm_per_pixel**2
        found |= {name.replace("_px", "_mm"): values[name] * mm_per_pixel for name in LENGTHS}
    return found


def repeatability(model_version: str) -> dict[str, Any]:
    """What two images of an unchanged lesion differ by, from the version's card; empty where the
    card does not tell, or the version is no longer there."""
    try:
        found: dict[str, Any] = reader.card(model_version).get("repeatability", {})
    except reader.ModelUnavailable:
        return {}
    return found


def model_mask(maps: PredictionMaps) -> Mask:
    """bool [h, w], at the size the image was read at."""
    with Image.open(BytesIO(maps.mask)) as image:
        return np.asarray(image) > 0


def masked_prediction(image: LesionImage, seen_by: User | None = None) -> Prediction | None:
    """The reading that counts, if it found the image assessable, with its ``maps``.

    seen_by: to whom it is shown; None: to nobody, it is only measured within.
    """
    readings = image.predictions.counting().exclude(outcome=Outcome.NOT_ASSESSABLE)
    if seen_by is not None:
        readings = readings.disclosed_to(seen_by)
    found: Prediction | None = readings.filter(maps__isnull=False).select_related("maps").first()
    return found


def mask_of(image: LesionImage, size: tuple[int, int]) -> Mask | None:
    """The lesion as it stands, bool of ``size`` (height, width): as a person drew it or, without
    that, as the model sees it; None where neither is there."""
    return mask_within(image, masked_prediction(image), size)


def mask_within(
    image: LesionImage, prediction: Prediction | None, size: tuple[int, int]
) -> Mask | None:
    """``mask_of`` with a prediction that is at hand, with its ``maps``. No query where ``outlines``
    are prefetched."""
    height, width = size
    drawn = next(iter(image.outlines.all()), None)
    if drawn is not None:
        return _filled(drawn, size)
    if prediction is None:
        return None
    mask = Image.fromarray(model_mask(prediction.maps)).convert("L")
    return np.asarray(mask.resize((width, height), Image.Resampling.BILINEAR)) >= 128


def pixels_of(image: LesionImage, side: int = SIDE) -> npt.NDArray[np.uint8]:
    """A copy whose longer side is at most ``side``: uint8 [h, w, 3].

    Raises NotOpened for a picture that is lost or damaged, and whatever passes as it is.
    """
    try:
        with image.file.open("rb") as file:
            return imaging.load_pixels(file, side)
    except OSError as error:
        if is_transient(error):
            raise
        raise NotOpened("The stored picture could not be opened.") from None


def measure_image(image: LesionImage) -> Measurement | None:
    """Measure what stands, once. None while there is neither a mask nor an outline. A picture that
    cannot be opened has a failure for its measures. Raises what passes (``faults``)."""
    drawn = image.outlines.first()
    prediction = None if drawn else masked_prediction(image)
    if drawn is None and prediction is None:
        return None
    of = {"image": image, "outline": drawn, "prediction": prediction}
    known = {**of, "algorithm_version": MEASURES_VERSION}
    found = Measurement.objects.filter(**known).first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            return Measurement.objects.create(**known, **_measured(image))
    except IntegrityError:  # another worker measured it at the same moment
        return Measurement.objects.get(**known)


def unmeasured() -> list[LesionImage]:
    """Some images that the reading that counts found assessable, and nobody has tried to measure
    yet: those that failed are ``setbacks.due``."""
    measured = Measurement.objects.filter(algorithm_version=MEASURES_VERSION)
    within = Q(prediction=OuterRef("pk")) | Q(outline__isnull=False, image=OuterRef("image"))
    readings = Prediction.objects.counting().filter(~Exists(measured.filter(within)))
    assessable = readings.filter(maps__isnull=False).exclude(outcome=Outcome.NOT_ASSESSABLE)
    read = LesionImage.objects.present().filter(pk__in=assessable.values("image"))
    of_a_batch = BatchRow.objects.filter(image__isnull=False, followed_up=False)  # their turn comes
    left = read.exclude(pk__in=of_a_batch.values("image"))
    return list(left.filter(setback=None).order_by("created")[:ONE_SWEEP])


def _measured(image: LesionImage) -> dict[str, Any]:
    from ml.measure import NotMeasurable, measure

    try:
        pixels = pixels_of(image)
    except NotOpened as reason:
        return {"failure": str(reason)}
    mask = mask_of(image, pixels.shape[:2])
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


def _filled(drawn: Outline, size: tuple[int, int]) -> Mask:
    height, width = size
    canvas = Image.new("L", (width, height))
    corners = [(x * width - 0.5, y * height - 0.5) for x, y in drawn.points]
    ImageDraw.Draw(canvas).polygon(corners, fill=255, outline=255)
    return np.asarray(canvas) > 0
