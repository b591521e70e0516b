"""Conversion from pixels to millimetres for images with a scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from screening.measurements.queries import LENGTHS
from screening.models import ImageScale, LesionImage


def scale_of(image: LesionImage) -> float | None:
    """Millimetres per pixel, or None. Needs no query on rows annotated by ``with_scale``."""
    if "mm_per_pixel" in image.__dict__:
        found: float | None = image.__dict__["mm_per_pixel"]
        return found
    scale: ImageScale | None = image.scales.first()
    return scale.mm_per_pixel if scale else None


def with_scale(images: QuerySet[LesionImage]) -> QuerySet[LesionImage]:
    """Annotate the scale that ``scale_of`` returns."""
    scales = ImageScale.objects.filter(image=OuterRef("pk")).values("mm_per_pixel")
    return images.annotate(mm_per_pixel=Subquery(scales[:1]))


def in_millimetres(
    values: Mapping[str, Any], mm_per_pixel: float | None
) -> dict[str, float | None]:
    """Convert to ``area_mm2`` and lengths in ``_mm``; all None without a scale."""
    found: dict[str, float | None] = {"area_mm2": None}
    found |= {name.replace("_px", "_mm"): None for name in LENGTHS}
    if mm_per_pixel is not None:
        found["area_mm2"] = values["area_px"] * mm_per_pixel**2
        found |= {name.replace("_px", "_mm"): values[name] * mm_per_pixel for name in LENGTHS}
    return found
