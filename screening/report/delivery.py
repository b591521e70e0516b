"""The only way a report leaves the platform: checked, built, logged, streamed."""

from __future__ import annotations

from typing import IO
from uuid import UUID

from django.http import FileResponse
from django.shortcuts import get_object_or_404

from accounts.models import User
from screening.body_map import queries as body_map_queries
from screening.models import AccessLog, Lesion, LesionImage, Patient
from screening.report.lesion_report import lesion_report
from screening.report.patient_report import patient_report


def hand_lesion_report(*, user: User, pk: UUID) -> FileResponse:
    """Return the report. Every picture in it is logged as shown. Raises Http404 for a lesion that
    ``user`` may not see.
    """
    visible = Lesion.objects.visible_to(user).select_related("patient__clinic")
    lesions = body_map_queries.with_position(visible)
    return _handed(user, "lesion", *lesion_report(get_object_or_404(lesions, pk=pk), user))


def hand_patient_report(*, user: User, pk: UUID) -> FileResponse:
    """As ``hand_lesion_report``."""
    patients = Patient.objects.visible_to(user).select_related("clinic")
    return _handed(user, "patient", *patient_report(get_object_or_404(patients, pk=pk), user))


def _handed(user: User, kind: str, file: IO[bytes], shown: list[LesionImage]) -> FileResponse:
    rendition = AccessLog.Rendition.REPORT
    AccessLog.objects.bulk_create(
        AccessLog(user=user, image=image, rendition=rendition) for image in shown
    )
    # The name says what it is, not whose.
    response = FileResponse(
        file, content_type="application/pdf", filename=f"skincheck-{kind}-report.pdf"
    )
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
