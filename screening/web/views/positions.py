"""Placing a lesion on the body map, or moving it there."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from screening import write_access
from screening.body_map import regions
from screening.body_map import services as body_map_services
from screening.models import Lesion
from screening.web.forms.positions import MovedLesionForm
from screening.web.forms.submit import submit
from screening.web.views.requests import UserRequest


@require_http_methods(["GET", "HEAD", "POST"])
def place(request: UserRequest, pk: UUID) -> HttpResponse:
    lesions = Lesion.objects.visible_to(request.user).select_related("patient__clinic")
    lesion = get_object_or_404(lesions, pk=pk)
    write_access.require_writable(user=request.user, patient=lesion.patient)
    standing = lesion.positions.first()
    form = MovedLesionForm(request.POST or None, record=lesion)
    if request.method == "POST":
        placed = submit(form, body_map_services.place_lesion, user=request.user, lesion=lesion)
        if placed is not None:
            where = regions.where(placed.view, placed.region, placed.side)
            messages.success(request, f"Placed: {where}.")
            return redirect(f"{reverse('lesion', args=[pk])}#position")
    return render(
        request,
        "screening/lesion_place.html",
        {"form": form, "lesion": lesion, "patient": lesion.patient, "standing": standing},
    )
