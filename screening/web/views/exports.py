"""Pages of exports: ask for one, its progress, the file."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.recent_log_in import recent_log_in, recent_log_in_to_post
from screening.exports import delivery, emails
from screening.exports import services as export_services
from screening.exports.worker import KEPT
from screening.models import Export, Patient
from screening.web.forms.submit import carry_out
from screening.web.views.requests import UserRequest


@require_http_methods(["GET", "HEAD", "POST"])
@recent_log_in_to_post
def of_account(request: UserRequest) -> HttpResponseBase:
    return _ask(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
@recent_log_in_to_post
def of_patient(request: UserRequest, pk: UUID) -> HttpResponseBase:
    return _ask(request, get_object_or_404(Patient.objects.visible_to(request.user), pk=pk))


@never_cache
@require_safe
def detail(request: UserRequest, pk: UUID) -> HttpResponse:
    export = _visible(request, pk)
    return render(request, "exports/export.html", {"export": export, "stage": _stage(export)})


@never_cache
@require_safe
def status(request: UserRequest, pk: UUID) -> HttpResponse:
    """The part of the page that changes; 204 if it has not changed."""
    export = _visible(request, pk)
    if _stage(export) == request.GET.get("stage"):
        return HttpResponse(status=204)
    return render(request, "exports/status.html", {"export": export, "stage": _stage(export)})


@require_safe
@recent_log_in
def download(request: UserRequest, pk: UUID) -> HttpResponseBase:
    return delivery.deliver(user=request.user, pk=pk)


@require_safe
@recent_log_in
def fetch(request: UserRequest, token: str) -> HttpResponseBase:
    """The mailed link."""
    try:
        pk = emails.export_of(token)
    except Export.DoesNotExist:
        raise Http404("This link has ended.") from None
    return delivery.deliver(user=request.user, pk=pk)


@require_POST
def remove(request: UserRequest, pk: UUID) -> HttpResponse:
    export = _visible(request, pk)
    carry_out(request, export_services.remove, "The file is deleted.", export=export)
    return redirect("export", pk)


def _ask(request: UserRequest, patient: Patient | None) -> HttpResponseBase:
    problem = ""
    try:
        export_services.require_exportable(user=request.user, patient=patient)
    except ValidationError as error:
        problem = " ".join(error.messages)
    if request.method == "POST" and not problem:
        return _asked(request, patient)
    context = {
        "patient": patient,
        "problem": problem,
        "days": KEPT.days,
        "exports": Export.objects.visible_to(request.user).filter(patient=patient)[:5],
    }
    return render(request, "exports/ask.html", context, status=400 if request.POST else 200)


def _asked(request: UserRequest, patient: Patient | None) -> HttpResponse:
    try:
        export = export_services.request_export(user=request.user, patient=patient)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(request.path)
    return redirect("export", export.pk)


def _visible(request: UserRequest, pk: UUID) -> Export:
    return get_object_or_404(
        Export.objects.visible_to(request.user).select_related("patient"), pk=pk
    )


def _stage(export: Export) -> str:
    return f"{export.state}-{export.steps_done}-{export.is_ready}"
