"""Forms for a point on the body map, or a region chosen from the list. ``body_map`` has the
rules.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict

from screening.body_map import regions
from screening.body_map.services import NOT_ON_THE_BODY, Spot
from screening.models import BodyView, Lesion
from screening.web.forms import conflicts
from screening.web.forms.edit_form import EditForm, both
from screening.web.forms.records import LesionForm


def _regions() -> list[tuple[str, Any]]:
    grouped = [
        (
            figure.view.label,
            sorted(((region.key, region.label) for region in figure.regions), key=lambda r: r[1]),
        )
        for figure in regions.figures()
    ]
    return [("", "Not on the map yet"), *grouped]


class PlaceForm(forms.Form):
    """Provides ``spot``. The map fills in view, x and y; without them the region's centre is
    used.
    """

    region = forms.ChoiceField(
        choices=_regions,
        required=False,
        label="Or a region from the list",
        help_text="Without a place on the map, the spot is put in the middle of the region.",
    )
    view = forms.ChoiceField(choices=BodyView.choices, required=False, widget=forms.HiddenInput)
    x, y = (
        forms.FloatField(min_value=0, max_value=1, required=False, widget=forms.HiddenInput)
        for _ in range(2)
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        view, x, y, region = (data.pop(name, None) for name in ("view", "x", "y", "region"))
        data["spot"] = Spot(view, x, y) if view and x is not None and y is not None else None
        if region and not self._is_in(data["spot"], region):
            data["spot"] = Spot(region.partition("/")[0], *regions.middles()[region])
        return data

    @staticmethod
    def _is_in(spot: Spot | None, key: str) -> bool:
        region = regions.region_at(*spot) if spot else None
        return region is not None and region.key == key


class MovedLesionForm(PlaceForm, EditForm):
    """A form for an existing lesion: a position is required."""

    @staticmethod
    def values_of(lesion: Lesion) -> dict[str, Any]:
        standing = lesion.positions.first()
        return Spot(standing.view, standing.x, standing.y)._asdict() if standing else {}

    def wanted(self) -> dict[str, Any]:
        spot: Spot = self.cleaned_data["spot"]
        return spot._asdict()

    def unseen(self, now: conflicts.Values) -> list[str]:
        standing = Spot(**self.standing())
        return [both(_where(standing), _where(self.cleaned_data["spot"]))]

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if data["spot"] is None and not self.errors:
            raise forms.ValidationError(NOT_ON_THE_BODY)
        return data


def _where(spot: Spot) -> str:
    region = regions.region_at(*spot)
    if region is None:
        return "outside the body"
    return regions.where(spot.view, region.name, regions.side_at(region, spot.x))


class NewLesionForm(PlaceForm, LesionForm):
    """A form for a new lesion, whose position is optional."""

    @staticmethod
    def initial_by(query: QueryDict) -> dict[str, object]:
        """Initial values from a point chosen on the patient's page; empty without one in the
        query.
        """
        chosen = PlaceForm(query)
        spot = chosen.cleaned_data["spot"] if chosen.is_valid() else None
        region = regions.region_at(*spot) if spot else None
        return {**spot._asdict(), "body_site": region.site.value} if spot and region else {}
