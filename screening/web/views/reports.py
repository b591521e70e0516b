"""Reports to print or to hand to a doctor. ``screening.report`` defines their contents."""

from __future__ import annotations

from uuid import UUID

from django.http import FileResponse
from django.views.decorators.http import require_safe

from screening.report.delivery import hand_lesion_report, hand_patient_report
from screening.web.views.requests import UserRequest


@require_safe
def lesion(request: UserRequest, pk: UUID) -> FileResponse:
    return hand_lesion_report(user=request.user, pk=pk)


@require_safe
def patient(request: UserRequest, pk: UUID) -> FileResponse:
    return hand_patient_report(user=request.user, pk=pk)
