"""Write path of comparisons: a later image of a lesion aligned to an earlier one, once.

``ml.lesion.register`` (OpenCV) is loaded only when it is used.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, Subquery
from django.utils import timezone

from ml.types import REGISTRATION_VERSION
from screening.measurements.masks import mask_of, pixels_of
from screening.measurements.queries import NotOpened, outlines_of
from screening.measurements.services import ONE_SWEEP
from screening.models import Comparison, LesionImage, Measurement, Outline
from screening.operations import clock

LATELY, SOON = timedelta(hours=1), timedelta(minutes=2)
"""A live worker compares new measurements within SOON; LATELY limits how far a sweep looks back."""
SIDE = 1024
"""The longer side, in pixels, of the copies that are aligned."""


def in_order(one: LesionImage, other: LesionImage) -> tuple[LesionImage, LesionImage]:
    """The two images in order of capture."""
    first, second = sorted((one, other), key=lambda image: image.place)
    return first, second


def compare(one: LesionImage, other: LesionImage) -> Comparison:
    """The comparison of two images of one lesion within their current outlines, made now if there
    is none.

    A comparison within other outlines is replaced and stays in the history. Raises ValidationError
    for images of two lesions or the same image twice.
    """
    found = known(one, other)
    if found is not None:
        return found
    require_pair(one, other)
    earlier, later = in_order(one, other)
    aligned = _aligned(earlier, later)
    try:
        with transaction.atomic():
            pair = _pair(one, other)
            others = Comparison.objects.standing().filter(earlier=earlier, later=later)
            others.exclude(outlines=pair["outlines"]).update(replaced_at=timezone.now())
            return Comparison.objects.create(**pair, **aligned)
    except IntegrityError:  # another process made it at the same moment
        return Comparison.objects.get(**_pair(one, other))


def require_pair(one: LesionImage, other: LesionImage) -> None:
    """Raises ValidationError for images of two lesions or the same image twice."""
    if one.lesion_id != other.lesion_id or one.pk == other.pk:
        raise ValidationError("Choose two pictures of the same spot.")


def known(one: LesionImage, other: LesionImage) -> Comparison | None:
    """An existing comparison of two images within their current outlines."""
    return Comparison.objects.filter(**_pair(one, other)).first()


def compare_with_neighbours(image: LesionImage) -> list[Comparison]:
    """Compare with the images before and after it by day of capture."""
    images = list(image.lesion.images.filter(modality=image.modality).latest_first())
    place = images.index(image)
    around = [*images[place + 1 : place + 2], *images[max(place - 1, 0) : place]]
    return [compare(image, other) for other in around]


def uncompared() -> list[LesionImage]:
    """Some recently measured images whose comparison with a neighbour was lost or is older than
    their outline.
    """
    now = timezone.now()
    lately = Measurement.objects.filter(
        # The second is from before the clock was set back.
        Q(created__range=(now - LATELY, now - SOON)) | Q(created__gt=now + clock.SLACK)
    )
    others = LesionImage.objects.filter(lesion=OuterRef("lesion"), modality=OuterRef("modality"))
    compared = Comparison.objects.filter(Q(earlier=OuterRef("pk")) | Q(later=OuterRef("pk")))
    last = compared.order_by("-created").values("created")[:1]
    drawn_since = Outline.objects.filter(image=OuterRef("pk"), created__gt=OuterRef("compared_at"))
    return list(
        LesionImage.objects.present()
        .filter(pk__in=lately.values("image"))
        .alias(compared_at=Subquery(last))
        .filter(Exists(others.exclude(pk=OuterRef("pk"))))
        .filter(Q(compared_at=None) | Exists(drawn_since))
        .filter(setback=None)
        .order_by("created")[:ONE_SWEEP]
    )


def scaled(
    matrix: list[list[float]], later: float = 1.0, earlier: float = 1.0
) -> npt.NDArray[np.float64]:
    """A stored matrix for copies of the images that are ``later`` and ``earlier`` times as large.

    [2, 3]; 0, 0 is the centre of the first pixel.
    """
    from ml.lesion.register import between_copies

    return between_copies(np.array(matrix), 1 / earlier, 1 / later)


def _pair(one: LesionImage, other: LesionImage) -> dict[str, Any]:
    earlier, later = in_order(one, other)
    return {
        "earlier": earlier,
        "later": later,
        "algorithm_version": REGISTRATION_VERSION,
        "outlines": outlines_of(earlier, later),
    }


def _aligned(earlier: LesionImage, later: LesionImage) -> dict[str, object]:
    from ml.lesion.register import align, between_copies

    try:
        fixed, moving = pixels_of(earlier, SIDE), pixels_of(later, SIDE)
    except NotOpened:
        return {"aligned": False, "reason": "One of the two pictures could not be opened."}
    found = align(fixed, moving, _mask(earlier, fixed), _mask(later, moving))
    matrix: list[list[float]] = []
    if found.matrix is not None:
        scales = fixed.shape[1] / earlier.width, moving.shape[1] / later.width
        matrix = between_copies(found.matrix, *scales).tolist()
    return {
        "aligned": found.aligned,
        "matrix": matrix,
        "score": found.score,
        "reason": found.reason,
    }


def _mask(image: LesionImage, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_] | None:
    """The mask; None also for a damaged one: the pictures are aligned without it."""
    try:
        return mask_of(image, pixels.shape[:2])
    except NotOpened:
        return None
