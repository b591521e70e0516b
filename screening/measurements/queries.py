"""Read path of measurements: an image's current measurement, scale and outlines."""

from __future__ import annotations

from typing import Any

from ml import reader
from screening.models import LesionImage, Measurement

LENGTHS = ("longest_diameter_px", "shortest_diameter_px", "perimeter_px")


class NotOpened(OSError):
    """A stored picture or mask is lost or damaged; retrying will not help. The message is shown to
    users.
    """


def last_tried(image: LesionImage) -> Measurement | None:
    """The last measurement, failed or not, within a drawn outline or the mask of the reading that
    counts. Needs no query where ``measurements`` are prefetched with their ``prediction``.
    """
    of = image.measurements.all()
    return next((one for one in of if one.prediction is None or one.prediction.counts), None)


def current(image: LesionImage) -> Measurement | None:
    """The last measurement; None if it failed, never older figures."""
    last = last_tried(image)
    return last if last is not None and not last.failure else None


def outlines_of(*images: LesionImage) -> str:
    """An identifier of the drawn outlines now current in the images; empty if there are none.
    Results found within other outlines must be computed again. Needs no query where ``outlines``
    are prefetched.
    """
    drawn = [next(iter(image.outlines.all()), None) for image in images]
    return " ".join(one.pk.hex if one else "-" for one in drawn) if any(drawn) else ""


def repeatability(model_version: str) -> dict[str, Any]:
    """How much two images of an unchanged lesion differ, from the model version's card; empty if
    the card does not say or the version has been removed.
    """
    try:
        found: dict[str, Any] = reader.card(model_version).get("repeatability", {})
    except reader.ModelUnavailable:
        return {}
    return found
