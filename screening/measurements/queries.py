"""Read path of measurements: what stands for an image, its scale, its outlines."""

from __future__ import annotations

from typing import Any

from ml import reader
from screening.models import LesionImage, Measurement

LENGTHS = ("longest_diameter_px", "shortest_diameter_px", "perimeter_px")


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


def repeatability(model_version: str) -> dict[str, Any]:
    """What two images of an unchanged lesion differ by, from the version's card; empty where the
    card does not tell, or the version is no longer there."""
    try:
        found: dict[str, Any] = reader.card(model_version).get("repeatability", {})
    except reader.ModelUnavailable:
        return {}
    return found
