"""Agreement between a clinic's conclusions, readings and histology."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.models import Clinic
from screening.reviews import agreement
from screening.web.views.requests import UserRequest


@require_safe
def of_clinic(request: UserRequest, pk: UUID) -> HttpResponse:
    clinic = get_object_or_404(Clinic.objects.with_member(request.user), pk=pk)
    return render(
        request,
        "screening/agreement.html",
        {
            "clinic": clinic,
            "agreements": agreement.of_clinic(clinic, request.user),
            "too_few": agreement.TOO_FEW,
        },
    )
