"""Pages for correcting a lesion's outline and for setting the scale of a picture."""

from __future__ import annotations

from math import cos, pi, sin
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts.models import User
from screening import write_access
from screening.errors import Unreadable
from screening.measurements import masks, outlines
from screening.measurements.contours import Point, thinned
from screening.measurements.contours import outline as border_of
from screening.models import ImageScale, LesionImage
from screening.web.forms.measurements import (
    FieldOfViewForm,
    OutlineForm,
    PixelSpacingForm,
    RulerForm,
    ScaleForm,
)
from screening.web.forms.submit import submit
from screening.web.views.requests import UserRequest

EDITED_CORNERS = 24
SCALE_FORMS: dict[str, type[ScaleForm]] = {
    ImageScale.Source.FIELD_OF_VIEW: FieldOfViewForm,
    ImageScale.Source.PIXEL_SPACING: PixelSpacingForm,
    ImageScale.Source.RULER: RulerForm,
}
ROUND = [(0.5 + cos(n * pi / 6) / 4, 0.5 + sin(n * pi / 6) / 4) for n in range(12)]
"""The initial outline of a lesion without one."""


@require_http_methods(["GET", "HEAD", "POST"])
def outline(request: UserRequest, pk: UUID) -> HttpResponse:
    image = _writable(request, pk)
    form = OutlineForm(request.POST or None, record=image)
    if request.method == "POST":
        drawn = submit(form, outlines.draw_outline, user=request.user, image=image)
        if drawn is not None:
            messages.success(request, "The outline is saved. The picture is measured soon.")
            return redirect(f"{reverse('image', args=[pk])}#measures")
    by_model, standing = _by_model(image, request.user), _drawn(image)
    return render(
        request,
        "screening/outline.html",
        _of(image)
        | {
            "form": form,
            "points": form.data.get("points") or _written(standing or by_model or ROUND),
            "standing": _written(standing) if form.errors else "",
            "by_model": _written(by_model or []),
            "is_unreadable": by_model is None,
            "drawn": image.outlines.select_related("drawn_by"),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
def scale(request: UserRequest, pk: UUID) -> HttpResponse:
    """By the field of view, the pixel spacing or two points on a ruler; ``source`` says which form
    was sent.
    """
    image = _writable(request, pk)
    source = request.POST.get("source", "")
    forms = {
        name: form(request.POST if source == name else None, auto_id=f"{name}_%s", record=image)
        for name, form in SCALE_FORMS.items()
    }
    if request.method == "POST":
        sent = forms.get(source)
        if sent is None:
            messages.error(request, "Say how the scale is known.")
        elif submit(sent, outlines.set_scale, user=request.user, image=image, source=source):
            messages.success(request, "The scale is saved. Sizes are now in millimetres.")
            return redirect(f"{reverse('image', args=[pk])}#measures")
    return render(
        request,
        "screening/scale.html",
        _of(image) | forms | {"scales": image.scales.select_related("set_by")},
    )


def _writable(request: UserRequest, pk: UUID) -> LesionImage:
    visible = LesionImage.objects.visible_to(request.user)
    image = get_object_or_404(visible.select_related("lesion__patient__clinic"), pk=pk)
    write_access.require_writable(user=request.user, patient=image.lesion.patient)
    return image


def _of(image: LesionImage) -> dict[str, object]:
    return {"image": image, "lesion": image.lesion, "patient": image.lesion.patient}


def _drawn(image: LesionImage) -> list[Point]:
    drawn = image.outlines.first()
    return [(x, y) for x, y in drawn.points] if drawn is not None else []


def _written(points: list[Point]) -> str:
    """As ``OutlineForm`` reads them."""
    return " ".join(f"{x:.5f},{y:.5f}" for x, y in points)


def _by_model(image: LesionImage, user: User) -> list[Point] | None:
    """The software's outline, with few enough corners to move by hand; None if it cannot be
    opened.
    """
    prediction = masks.masked_prediction(image, user)
    if prediction is None:
        return []
    try:
        return thinned(border_of(masks.model_mask(prediction.maps)), EDITED_CORNERS)
    except Unreadable:
        return None
