"""Two images of a lesion side by side and overlaid, and what people saw in them."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from screening import bells
from screening.comparisons import marks as comparison_marks
from screening.comparisons import presenters as comparison_presenters
from screening.comparisons import services as comparison_services
from screening.models import Alert, ChangeMark, Comparison, Lesion, LesionImage
from screening.records import queries as record_queries
from screening.web import form_tokens
from screening.web.forms.comparisons import ChangeMarkForm, CloseAlertForm
from screening.web.forms.submit import submit
from screening.web.views.requests import UserRequest


@require_safe
def compare(request: UserRequest, pk: UUID) -> HttpResponse:
    """``earlier`` and ``later`` name the images; without them the latest two. A worker compares
    them, and the page polls until that is done.
    """
    visible = Lesion.objects.visible_to(request.user).with_rights(request.user)
    lesion = get_object_or_404(visible.select_related("patient__clinic"), pk=pk)
    found = record_queries.with_withheld(lesion.images.latest_first(), request.user)
    found = record_queries.with_measures(found, request.user)
    images = record_queries.tell_apart(list(found.prefetch_related("outlines")))
    if len(images) < 2:
        return redirect("lesion", pk)
    earlier, later = _chosen(request, images)
    comparison = comparison_services.known(earlier, later)
    if comparison is None:
        bells.after_commit(bells.compare, earlier, later)
        return render(request, "screening/comparing.html", _waiting(lesion, images, earlier, later))
    if request.htmx:  # the full result, including its scripts
        return HttpResponseClientRefresh()
    # with the images that were fetched already
    comparison.earlier, comparison.later = comparison_services.in_order(earlier, later)
    return render(request, "screening/compare.html", _shown(request, lesion, images, comparison))


@require_POST
def mark(request: UserRequest, pk: UUID) -> HttpResponse:
    visible = Comparison.objects.visible_to(request.user).select_related("later__lesion__patient")
    comparison = get_object_or_404(visible, pk=pk)
    form = ChangeMarkForm(request.POST)
    if submit(form, comparison_marks.mark_comparison, user=request.user, comparison=comparison):
        messages.success(request, "What you saw is recorded.")
    else:
        messages.error(request, "Choose whether it changed.")
    return redirect(_address(comparison))


@require_POST
def close_alert(request: UserRequest, pk: UUID) -> HttpResponse:
    visible = Alert.objects.visible_to(request.user).select_related("lesion__patient")
    alert = get_object_or_404(visible, pk=pk)
    form = CloseAlertForm(request.POST)
    if submit(form, comparison_marks.close_alert, user=request.user, alert=alert):
        messages.success(request, "The change is closed. It stays in the history below.")
    else:
        for error in form.errors.values():
            messages.error(request, " ".join(map(str, error)))
    return redirect(f"{reverse('lesion', args=[alert.lesion_id])}#alerts")


def _address(comparison: Comparison) -> str:
    address = reverse("lesion_compare", args=[comparison.later.lesion_id])
    return f"{address}?earlier={comparison.earlier_id}&later={comparison.later_id}#marks"


def _chosen(request: HttpRequest, images: list[LesionImage]) -> tuple[LesionImage, LesionImage]:
    """The requested images, or the latest two. Raises Http404 for images of another lesion."""
    known = {str(image.pk): image for image in images}
    names = request.GET.get("earlier", ""), request.GET.get("later", "")
    if not all(name in known or not name for name in names):
        raise Http404("No such image of this lesion.")
    later = known.get(names[1], images[0])
    others = [image for image in images if image != later]
    earlier = known.get(names[0], others[0])
    return (others[0] if earlier == later else earlier), later


def _waiting(lesion: Lesion, images: list[LesionImage], *chosen: LesionImage) -> dict[str, object]:
    pair = comparison_services.in_order(*chosen)
    return {
        "lesion": lesion,
        "patient": lesion.patient,
        "images": images,
        "pair": [(name, image, []) for name, image in zip(("earlier", "later"), pair, strict=True)],
    }


def _shown(
    request: UserRequest, lesion: Lesion, images: list[LesionImage], comparison: Comparison
) -> dict[str, object]:
    pair = [comparison.earlier, comparison.later]
    readings = comparison_presenters.readings_of(pair, request.user)
    outlines = [comparison_presenters.outline_of(image, readings[image.pk]) for image in pair]
    alerts = record_queries.alerts_of(lesion, request.user, images)
    marks = ChangeMark.objects.visible_to(request.user).filter(
        comparison__earlier=comparison.earlier, comparison__later=comparison.later
    )
    return {
        "lesion": lesion,
        "patient": lesion.patient,
        "images": images,
        "comparison": comparison,
        "since": comparison_presenters.since(comparison.earlier, comparison.later, alerts),
        "pair": list(zip(("earlier", "later"), pair, outlines, strict=True)),
        "matrix": comparison_presenters.corner_matrix(comparison) if comparison.aligned else None,
        "rows": comparison_presenters.rows(comparison, readings),
        "unmeasured": comparison_presenters.unmeasured(comparison),
        "marks": marks.select_related("marked_by"),
        "form": ChangeMarkForm(
            form_tokens.typed(request, reverse("comparison_mark", args=[comparison.pk]))
        ),
        "may_write": lesion.may_write,
    }
