"""Write path of the body map: a lesion's position, and its body site."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from screening import write_access
from screening.body_map import regions
from screening.models import Event, Lesion, LesionPosition, Patient
from screening.records import services as record_services
from screening.webhooks.outbox import announce_about

NOT_ON_THE_BODY = "Choose a point on the body."


class Spot(NamedTuple):
    """x, y: shares of the figure's width, from its left edge, and of its height, from its top."""

    view: str
    x: float
    y: float


@transaction.atomic
def open_lesion(*, user: User, patient: Patient, spot: Spot | None = None, **fields: Any) -> Lesion:
    """Add a lesion to the patient, positioned at ``spot`` if one is given."""
    lesion = record_services.open_lesion(user=user, patient=patient, **fields)
    if spot is not None:
        place_lesion(user=user, lesion=lesion, spot=spot)
    return lesion


@transaction.atomic
def place_lesion(*, user: User, lesion: Lesion, spot: Spot) -> LesionPosition:
    """Set the lesion's position; earlier positions stay on record.

    The body site follows the region, unless a person has named another. If the position is
    unchanged, its row is returned. Raises ValidationError for a point outside the body.
    """
    write_access.require_writable(user=user, patient=lesion.patient)
    region = _region(spot)
    record_services.hold(lesion)
    before = lesion.positions.first()
    if before is not None and Spot(before.view, before.x, before.y) == spot:
        return before
    position = LesionPosition(
        lesion=lesion,
        placed_by=user,
        region=region.name,
        side=regions.side_at(region, spot.x),
        **spot._asdict(),
    )
    position.full_clean()
    position.save()
    if lesion.body_site in ("", _site(before)) and lesion.body_site != region.site:
        record_services.edit_lesion(user=user, lesion=lesion, body_site=region.site.value)
    else:
        announce_about(lesion.patient, Event.LESION_CHANGED, lesion=lesion.pk)
    return position


def _region(spot: Spot) -> regions.Region:
    is_on_figure = 0 <= spot.x <= 1 and 0 <= spot.y <= 1
    region = regions.region_at(spot.view, spot.x, spot.y) if is_on_figure else None
    if region is None:
        raise ValidationError(NOT_ON_THE_BODY)
    return region


def _site(position: LesionPosition | None) -> str:
    """The body site implied by a position."""
    region = regions.named(position.view, position.region) if position else None
    return region.site.value if region else ""
