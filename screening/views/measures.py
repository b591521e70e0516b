"""Correcting a lesion's outline in a picture, and saying how large the picture's pixels are."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts.models import User
from screening import intake, measuring, outlining, tasks
from screening.forms import FieldOfViewForm, OutlineForm, RulerForm, add_errors, submit
from screening.models import ImageScale, LesionImage
from screening.outline import Point, thinned
from screening.outline import outline as border_of
from screening.views.requests import UserRequest

EDITED_CORNERS = 24
ROUND = [(0.5 + cos(n * pi / 6) / 4, 0.5 + sin(n * pi / 6) / 4) for n in range(12)]
"""Where an outline is begun that nobody has drawn."""


@require_http_methods(["GET", "HEAD", "POST"])
def outline(request: UserRequest, pk: UUID) -> HttpResponse:
    image = _writable(request, pk)
    form = OutlineForm(request.POST or None)
    if request.method == "POST":
        drawn = submit(form, outlining.draw_outline, user=request.user, image=image)
        if drawn is not None:
            tasks.follow_up(image)
            messages.success(request, "The outline is kept, and the picture measured anew.")
            return redirect(f"{reverse('image', args=[pk])}#measures")
    return render(
        request,
        "screening/outline.html",
        _of(image)
        | {
            "form": form,
            "points": _points(image, request.user) or ROUND,
            "by_model": _by_model(image, request.user),
            "drawn": image.outlines.select_related("drawn_by"),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
def scale(request: UserRequest, pk: UUID) -> HttpResponse:
    """By the field of view or by two points on a ruler; ``source`` says which form was sent."""
    image = _writable(request, pk)
    by_ruler = request.POST.get("source") == ImageScale.Source.RULER
    field_of_view = FieldOfViewForm(None if by_ruler else request.POST or None, prefix=None)
    ruler = RulerForm(request.POST if by_ruler else None, auto_id="ruler_%s")
    if request.method == "POST" and _set(request, image, ruler if by_ruler else field_of_view):
        messages.success(request, "The scale is kept: sizes are shown in millimetres.")
        return redirect(f"{reverse('image', args=[pk])}#measures")
    return render(
        request,
        "screening/scale.html",
        _of(image)
        | {
            "field_of_view": field_of_view,
            "ruler": ruler,
            "by_ruler": by_ruler,
            "scales": image.scales.select_related("set_by"),
        },
    )


def _set(request: UserRequest, image: LesionImage, form: FieldOfViewForm | RulerForm) -> bool:
    if not form.is_valid():
        return False
    fields: dict[str, Any] = {"source": ImageScale.Source.FIELD_OF_VIEW}
    if isinstance(form, RulerForm):
        share = outlining.ruler_share(image, *form.cleaned_data["points"])
        fields = {"source": ImageScale.Source.RULER, "share": share}
    try:
        outlining.set_scale(
            user=request.user,
            image=image,
            millimetres=form.cleaned_data["millimetres"],
            **fields,
        )
    except ValidationError as error:
        add_errors(form, error)
        return False
    return True


def _writable(request: UserRequest, pk: UUID) -> LesionImage:
    visible = LesionImage.objects.visible_to(request.user)
    image = get_object_or_404(visible.select_related("lesion__patient__clinic"), pk=pk)
    intake.require_writable(user=request.user, patient=image.lesion.patient)
    return image


def _of(image: LesionImage) -> dict[str, object]:
    return {"image": image, "lesion": image.lesion, "patient": image.lesion.patient}


def _points(image: LesionImage, user: User) -> list[Point]:
    """What stands, with few enough corners to move by hand."""
    drawn = image.outlines.first()
    if drawn is not None:
        return [(x, y) for x, y in drawn.points]
    return _by_model(image, user)


def _by_model(image: LesionImage, user: User) -> list[Point]:
    prediction = measuring.masked_prediction(image, user)
    if prediction is None:
        return []
    return thinned(border_of(measuring.model_mask(prediction.maps)), EDITED_CORNERS)
