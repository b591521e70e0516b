"""The worklist: lesions that need a clinician's attention first, to go through one by one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_safe

from screening.models import Lesion, LesionImage, Patient
from screening.predictions import arrivals, outcomes
from screening.records import queries as record_queries
from screening.reviews import services as review_services
from screening.reviews import worklist
from screening.web.forms.reviews import ReviewForm, WorklistForm
from screening.web.forms.submit import submit
from screening.web.navigation import Navigation
from screening.web.views.images import read_in, review_form
from screening.web.views.requests import UserRequest

ITEMS_A_PAGE = 25


@require_safe
def listing(request: UserRequest) -> HttpResponse:
    form = WorklistForm(request.GET, user=request.user)
    page: Page[Any] = Paginator(_narrowed(request, form), ITEMS_A_PAGE).get_page(
        request.GET.get("page")
    )
    lesions = record_queries.attach_latest_images(list(page.object_list), request.user)
    page.object_list = lesions
    return render(
        request,
        "screening/worklist.html",
        {
            "form": form,
            "page": page,
            "filters": form.query,
            "start": next((one.pk for one in lesions if one.latest_image_id), None),
            "may_review": Navigation(request.user).may_review,
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
def item(request: UserRequest, pk: UUID) -> HttpResponse:
    """A lesion's image to review, with the form to conclude on it: the last that waits for that, or
    the latest. The list's filters stay in the URL, so that the next item is the next of that list.
    """
    lesion = _reviewable(request, pk)
    shown_at = arrivals.last(lesion, request.user)  # ask about what arrives while this is gathered
    image = _image_to_review(request, lesion)
    if image is None:
        return redirect("lesion", pk)
    filters = WorklistForm(request.GET, user=request.user)
    items = _narrowed(request, filters).queue
    place, before, after = worklist.neighbours(items, pk)
    alerts = [one for one in record_queries.alerts_of(lesion, request.user) if one.is_open]
    form = review_form(request, image, request.POST or None, shown_at)
    if request.method == "POST" and _conclude(request, form, image):
        return _next(after, filters.query)
    return render(
        request,
        "screening/worklist_item.html",
        read_in(request, image, may_review=True)
        | {
            "form": form,
            "filters": filters.query,
            "lesion": lesion,
            "patient": lesion.patient,
            "alerts": alerts,
            "standing": record_queries.standing_beside(image),
            "previous": record_queries.previous(image),
            "histology": next(iter(record_queries.histologies_of(lesion, request.user)), None),
            "total": len(items),
            "place": place,
            "before": before,
            "after": after,
        },
    )


def _narrowed(request: UserRequest, form: WorklistForm) -> worklist.Worklist:
    """Invalid filters are ignored and reported above the list."""
    return worklist.Worklist(request.user, **form.narrowing)


def _reviewable(request: UserRequest, pk: UUID) -> Lesion:
    visible = Lesion.objects.visible_to(request.user).select_related("patient__clinic")
    lesion = get_object_or_404(visible, pk=pk)
    if not Patient.objects.reviewable_by(request.user).contains(lesion.patient):
        raise PermissionDenied("The worklist is for the clinicians of the patient's clinic.")
    return lesion


def _image_to_review(request: UserRequest, lesion: Lesion) -> LesionImage | None:
    images = lesion.images.latest_first().select_related("lesion__patient")
    found = record_queries.with_findings(images.with_rights(request.user), request.user)
    found = record_queries.with_standing_reading(found, request.user)
    return outcomes.unconcluded(found, request.user).first() or found.first()


def _conclude(request: UserRequest, form: ReviewForm, image: LesionImage) -> bool:
    if submit(form, review_services.record_review, user=request.user, image=image) is None:
        return False
    told = format_html(
        'Your conclusion on {} is signed. <a href="{}">Look at it and at what was read</a>',
        image.lesion,
        reverse("image", args=[image.pk]),
    )
    messages.success(request, told)
    return True


def _next(pk: UUID | None, query: str) -> HttpResponse:
    address = reverse("worklist_item", args=[pk]) if pk else reverse("worklist")
    return redirect(f"{address}{query}")
