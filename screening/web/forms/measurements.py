"""Forms for outlines and scales that people draw or type."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sized
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from screening.formatting import day
from screening.measurements import outlines
from screening.models import LesionImage
from screening.web.forms import conflicts
from screening.web.forms.edit_form import EditForm, both


class OutlineForm(EditForm):
    """``points``: space-separated pairs "x,y" of shares of the picture's width and height."""

    @staticmethod
    def values_of(image: LesionImage) -> dict[str, Any]:
        drawn = image.outlines.first()
        return {"points": drawn.points if drawn else None}

    def unseen(self, now: conflicts.Values) -> list[str]:
        drawn = self.record.outlines.select_related("drawn_by").first()
        theirs = f"{drawn.drawn_by}'s outline of {day(drawn.created)}, {_points(drawn.points)}"
        return [both(theirs, f"the one below, {_points(self.cleaned_data['points'])}")]

    points = forms.CharField(max_length=4000, widget=forms.HiddenInput)

    def clean_points(self) -> list[tuple[float, float]]:
        try:
            pairs = [pair.split(",") for pair in self.cleaned_data["points"].split()]
            return [(float(x), float(y)) for x, y in pairs]
        except ValueError:
            raise ValidationError("The outline arrived incomplete. Save it again.") from None


def _points(points: Sized) -> str:
    return f"{len(points)} points"


class ScaleForm(EditForm):
    """One way to state the size of an image's pixels. Provides ``mm_per_pixel``."""

    @staticmethod
    def values_of(image: LesionImage) -> dict[str, Any]:
        scale = image.scales.first()
        return {"mm_per_pixel": scale.mm_per_pixel if scale else None}

    def unseen(self, now: conflicts.Values) -> list[str]:
        typed = self.cleaned_data["mm_per_pixel"]
        return [both(_a_pixel(now["mm_per_pixel"]), _a_pixel(typed))]

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if self.errors:
            return typed
        return {"opened": typed["opened"], "mm_per_pixel": self.mm_per_pixel(typed)}

    @abstractmethod
    def mm_per_pixel(self, typed: dict[str, Any]) -> float:
        """The size of a pixel by what was typed. Raises ValidationError."""


def _a_pixel(millimetres: float) -> str:
    return f"{millimetres:.4f} mm a pixel"


class FieldOfViewForm(ScaleForm):
    millimetres = forms.FloatField(
        min_value=0.5,
        max_value=500,
        label="Width of what the picture shows, in millimetres",
        help_text="The device's manual has it; a common dermatoscope shows 20 to 30 mm.",
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )

    def mm_per_pixel(self, typed: dict[str, Any]) -> float:
        return outlines.by_field_of_view(self.record, typed["millimetres"])


class PixelSpacingForm(ScaleForm):
    millimetres = forms.FloatField(
        min_value=0.0001,
        max_value=1,
        label="Size of a pixel, in millimetres",
        help_text="Pixel spacing, as the device or its DICOM file states it for this very picture.",
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )

    def mm_per_pixel(self, typed: dict[str, Any]) -> float:
        return float(typed["millimetres"])


class RulerForm(ScaleForm):
    """``points``: two of them, as in ``OutlineForm``."""

    millimetres = forms.FloatField(
        min_value=0.1,
        max_value=500,
        label="Distance of the two points, in millimetres",
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
    points = forms.CharField(max_length=80, widget=forms.HiddenInput, required=False)

    def clean_points(self) -> list[tuple[float, float]]:
        points = OutlineForm({"points": self.cleaned_data["points"]})
        if not points.is_valid() or len(points.cleaned_data["points"]) != 2:
            raise ValidationError("Choose two points on the ruler.")
        found: list[tuple[float, float]] = points.cleaned_data["points"]
        return found

    def mm_per_pixel(self, typed: dict[str, Any]) -> float:
        return outlines.by_ruler(self.record, typed["points"], typed["millimetres"])
