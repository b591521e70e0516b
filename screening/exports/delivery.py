"""The only way an export leaves the platform: checked and streamed."""

from __future__ import annotations

import logging
from uuid import UUID

from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone

from accounts.models import User
from screening.errors import Damaged
from screening.models import Export, Patient
from screening.operations import storage

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/zip"


def deliver(*, user: User, pk: UUID) -> HttpResponseBase:
    """Return the file to the user who asked for it, if they may still export every record in it.
    The audit log names each of these records. Raises Http404.
    """
    export = get_object_or_404(Export.objects.visible_to(user).ready(), pk=pk)
    _require_all(export, user)
    response = _streamed(export)
    Export.objects.filter(pk=export.pk).update(fetched_at=timezone.now())
    response.headers["Content-Type"] = CONTENT_TYPE
    response.headers["Content-Disposition"] = (
        f'attachment; filename="skincheck-{export.created:%Y-%m-%d}.zip"'
    )
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _require_all(export: Export, user: User) -> None:
    """Check every record: it may have changed hands since the file was made. The rows are loaded,
    not counted, so that the audit log sees them.
    """
    records = Patient.everything.filter(pk__in=export.patients)
    allowed = records.exportable_by(user) if export.patient_id else records.filter(owner=user)
    if len(list(allowed)) != len(export.patients):
        raise Http404("A record in this file is no longer yours to export.")


def _streamed(export: Export) -> HttpResponseBase:
    try:
        if location := storage.accelerated(export.file):
            return HttpResponse(headers={"X-Accel-Redirect": location})
        response = FileResponse(export.file.storage.open(str(export.file.name)))
    except (FileNotFoundError, Damaged):
        logger.error("export %s: its file is missing or damaged", export.pk)
        raise Http404("The file is missing. Ask for it again.") from None
    response.headers["Content-Length"] = str(export.file_bytes)
    return response
