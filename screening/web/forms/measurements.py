"""Forms for outlines and scales that people draw or type."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from screening.models import LesionImage
from screening.web.forms.edit_form import EditForm


class OutlineForm(EditForm):
    """``points``: space-separated pairs "x,y" of shares of the picture's width and height."""

    @staticmethod
    def values_of(image: LesionImage) -> dict[str, Any]:
        drawn = image.outlines.first()
        return {"points": drawn.points if drawn else None}

    points = forms.CharField(max_length=4000, widget=forms.HiddenInput)

    def clean_points(self) -> list[tuple[float, float]]:
        try:
            pairs = [pair.split(",") for pair in self.cleaned_data["points"].split()]
            return [(float(x), float(y)) for x, y in pairs]
        except ValueError:
            raise ValidationError("The outline arrived incomplete. Save it again.") from None


class ScaleForm(EditForm):
    """One way to state the size of an image's pixels."""

    @staticmethod
    def values_of(image: LesionImage) -> dict[str, Any]:
        scale = image.scales.first()
        return {"mm_per_pixel": scale.mm_per_pixel if scale else None}

    def wanted(self) -> dict[str, Any]:
        return {"mm_per_pixel": "another"}


class FieldOfViewForm(ScaleForm):
    millimetres = forms.FloatField(
        min_value=0.5,
        max_value=500,
        label="Width of what the picture shows, in millimetres",
        help_text="The device's manual has it; a common dermatoscope shows 20 to 30 mm.",
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )


class PixelSpacingForm(ScaleForm):
    millimetres = forms.FloatField(
        min_value=0.0001,
        max_value=1,
        label="Size of a pixel, in millimetres",
        help_text="Pixel spacing, as the device or its DICOM file states it for this very picture.",
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )


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
