"""The pathologist's diagnosis of a lesion, entered by a clinician."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from screening.models import Lesion, Patient
from screening.records import queries as record_queries
from screening.reviews import services as review_services
from screening.web.forms.reviews import HistologyForm
from screening.web.forms.submit import submit
from screening.web.views.requests import UserRequest


@require_http_methods(["GET", "HEAD", "POST"])
def record(request: UserRequest, pk: UUID) -> HttpResponse:
    visible = Lesion.objects.visible_to(request.user).select_related("patient__clinic")
    lesion = get_object_or_404(visible, pk=pk)
    if not Patient.objects.reviewable_by(request.user).contains(lesion.patient):
        raise PermissionDenied("Only a clinician of the patient's clinic records histology.")
    standing = record_queries.histologies_of(lesion, request.user)
    form = HistologyForm(
        request.POST or None,
        lesion=lesion,
        user=request.user,
        standing=standing,
        initial=HistologyForm.initial_by(request.GET.get("corrects", ""), standing),
    )
    if request.method == "POST":
        recorded = submit(form, review_services.record_histology, user=request.user, lesion=lesion)
        if recorded is not None:
            messages.success(request, "The histology is recorded.")
            return redirect("lesion", pk)
    return render(
        request,
        "screening/histology_form.html",
        {
            "form": form,
            "lesion": lesion,
            "patient": lesion.patient,
            "histologies": record_queries.recorded_histologies(lesion, request.user),
        },
    )
