"""The only way a report leaves the platform: checked, built, streamed."""

from __future__ import annotations

from typing import IO
from uuid import UUID

from django.http import FileResponse
from django.shortcuts import get_object_or_404

from accounts.models import User
from screening.body_map import queries as body_map_queries
from screening.models import Lesion, Patient
from screening.report.lesion_report import lesion_report
from screening.report.patient_report import patient_report


def hand_lesion_report(*, user: User, pk: UUID) -> FileResponse:
    """Return the report. Raises Http404 for a lesion that
    ``user`` may not see.
    """
    visible = Lesion.objects.visible_to(user).select_related("patient__clinic")
    lesions = body_map_queries.with_position(visible)
    file, _ = lesion_report(get_object_or_404(lesions, pk=pk), user)
    return _handed("lesion", file)


def hand_patient_report(*, user: User, pk: UUID) -> FileResponse:
    """Like ``hand_lesion_report``, for a patient."""
    patients = Patient.objects.visible_to(user).select_related("clinic")
    file, _ = patient_report(get_object_or_404(patients, pk=pk), user)
    return _handed("patient", file)


def _handed(kind: str, file: IO[bytes]) -> FileResponse:
    # The name says what it is, not whose.
    response = FileResponse(
        file, content_type="application/pdf", filename=f"skincheck-{kind}-report.pdf"
    )
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
