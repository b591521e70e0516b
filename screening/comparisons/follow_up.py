"""Follow-up of a new picture: measurements, comparisons, alerts. Pictures that people wait for are
read between its steps.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from uuid import UUID

from screening.comparisons import alerts, services, setbacks
from screening.images import services as image_services
from screening.measurements import services as measurement_services
from screening.models import LesionImage
from screening.operations.transience import is_transient
from screening.predictions import queue

logger = logging.getLogger(__name__)

READINGS_FIRST = 10
"""Seconds from its start after which a follow-up lets no reading go first: it is finished then,
well within a task's time limit.
"""


def follow_up(image_id: UUID) -> None:
    """Measure and compare a new image, and create its screen-size picture if it has none. Never
    raises: failures pause and are retried later.
    """
    until = time.monotonic() + READINGS_FIRST
    _read_first(until)
    image = LesionImage.objects.present().filter(pk=image_id).first()
    if image is None:  # withdrawn meanwhile
        return
    times = setbacks.begin(image)
    try:
        measurement_services.measure_image(image)
        _read_first(until)
        for comparison in services.compare_with_neighbours(image):
            alerts.apply(comparison)
        _read_first(until)
        image_services.give_screen(image)
    except Exception as error:
        is_new = times == 1 and not is_transient(error)
        logger.warning("image %s: not followed up (%d)", image.pk, times, exc_info=is_new)
        if times == setbacks.MOST:
            logger.error("image %s: given up, until somebody looks at it", image.pk)
    else:
        setbacks.end(image)


def _read_first(until: float) -> None:
    """Read what people wait for, as long as there is any and before ``until``."""
    while time.monotonic() < until and queue.read_for_someone():
        pass


def compare(image_ids: Sequence[str]) -> None:
    """Compare two images that someone wants to see side by side."""
    images = list(LesionImage.objects.present().filter(pk__in=image_ids))
    if len({image.lesion_id for image in images}) == 1 and len(images) == 2:  # not moved meanwhile
        services.compare(*images)
