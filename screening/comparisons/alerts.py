"""Alerts: the change rules, applied to a comparison. ``ml.lesion.change`` is loaded only here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from screening.comparisons.services import scaled
from screening.measurements.masks import SIDE, mask_of, pixels_of
from screening.measurements.millimetres import in_millimetres, scale_of
from screening.measurements.queries import NotOpened, current, repeatability
from screening.models import Alert, Comparison, Event, LesionImage, Outcome, Prediction, Reminder
from screening.predictions.arrivals import hold, next_moment
from screening.predictions.details import other_details
from screening.webhooks.outbox import announce_about

if TYPE_CHECKING:
    from ml.lesion.change import Visit
    from ml.lesion.change_rules import Fired

SHORT_TERM_MONTHS = 3


def apply(comparison: Comparison) -> list[Alert]:
    """Create the alerts of a comparison. A rule fires once per pair of images and their outlines.

    Alerts based on other outlines no longer count and stay in the history.

    Returns nothing, and replaces nothing, if the readings' model version has no measured
    repeatability in its card or if the lesion was not found in one of the images.
    """
    from ml.lesion import change, change_rules

    earlier, later = comparison.earlier, comparison.later
    before, after = _reading(earlier), _reading(later)
    if any(reading is not None and other_details(reading) for reading in (before, after)):
        return []  # its details were corrected since, so it is read again first
    limits = repeatability(after.model_version).get("limits") if after else None
    visits = [_visit(image, reading) for image, reading in ((earlier, before), (later, after))]
    if limits is None or visits[0] is None or visits[1] is None:
        return []
    sizes = [visit.mask.shape[1] / image.width for visit, image in _both(visits, earlier, later)]
    matrix = scaled(comparison.matrix, sizes[1], sizes[0]) if comparison.aligned else None
    found = change.changed(visits[0], visits[1], matrix, _areas(earlier, later))
    days = (later.captured_on - earlier.captured_on).days
    fired = change_rules.fired(found, days, limits, _is_short_term(later))
    return _opened_all(fired, comparison)


@transaction.atomic
def _opened_all(fired: list[Fired], comparison: Comparison) -> list[Alert]:
    hold(comparison.later.lesion)
    of_pair = Alert.objects.filter(earlier=comparison.earlier, later=comparison.later)
    others = of_pair.filter(replaced_at=None).exclude(outlines=comparison.outlines)
    others.update(replaced_at=timezone.now())
    return [_opened(one, comparison) for one in fired]


def _opened(fired: Fired, comparison: Comparison) -> Alert:
    earlier, later = comparison.earlier, comparison.later
    lesion = later.lesion
    alert, is_new = Alert.objects.get_or_create(
        rule=fired.rule,
        earlier=earlier,
        later=later,
        outlines=comparison.outlines,
        defaults={
            "lesion": lesion,
            "before": fired.before,
            "after": fired.after,
            "created": next_moment(lesion),
        },
    )
    if is_new:
        announce_about(
            lesion.patient,
            Event.ALERT_OPENED,
            alert=alert.pk,
            lesion=lesion.pk,
            earlier_image=earlier.pk,
            later_image=later.pk,
        )
    return alert


def _both(visits: list[Any], *images: LesionImage) -> Any:
    return zip(visits, images, strict=True)


def _reading(image: LesionImage) -> Prediction | None:
    """The counting reading, if it found the image assessable."""
    readings = image.predictions.counting().exclude(outcome=Outcome.NOT_ASSESSABLE)
    found: Prediction | None = readings.first()
    return found


def _visit(image: LesionImage, reading: Prediction | None) -> Visit | None:
    from ml.lesion.change import Visit

    try:
        pixels = pixels_of(image, SIDE)
        mask = mask_of(image, pixels.shape[:2])
    except NotOpened:  # the comparison and the measurement record the failure
        return None
    if reading is None or mask is None or not mask.any():
        return None
    return Visit(pixels, mask, reading.p_malignant, reading.model_version)


def _areas(earlier: LesionImage, later: LesionImage) -> tuple[float, float] | None:
    """The area in square millimetres; None unless both images have a scale."""
    areas = []
    for image in (earlier, later):
        measured, scale = current(image), scale_of(image)
        if measured is None or scale is None:
            return None
        areas.append(in_millimetres(measured.values, scale)["area_mm2"] or 0.0)
    return (areas[0], areas[1]) if all(areas) else None


def _is_short_term(image: LesionImage) -> bool:
    """Whether the lesion is under short-term monitoring: a picture every three months or more
    often.
    """
    return (
        Reminder.objects.active()
        .filter(lesion=image.lesion_id, interval_months__lte=SHORT_TERM_MONTHS)
        .exists()
    )
