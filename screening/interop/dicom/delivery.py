"""Delivery of a picture, or of its reading, as a DICOM file: access is checked and logged."""

from __future__ import annotations

import logging
from collections.abc import Container
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404

from accounts.models import User
from screening.errors import Damaged, KeyDestroyed
from screening.images import delivery
from screening.interop.dicom import readings
from screening.interop.dicom.uids import Document
from screening.interop.dicom.writer import ABOUT, to_dicom

logger = logging.getLogger(__name__)


def download(*, user: User, pk: UUID, tells: Container[str] = ABOUT) -> HttpResponse:
    """Return the DICOM file. tells: as in ``to_dicom``. Raises Http404 for images that ``user`` may
    not see, and for a lost or damaged file.
    """
    image = delivery.looked_at(user=user, pk=pk)
    return _file(to_dicom(image, delivery.picture_of(image), tells), str(image.pk))


def download_reading(
    *, user: User, pk: UUID, document: Document, tells: Container[str] = ABOUT
) -> HttpResponse:
    """The counting reading of the image ``pk``, as ``download``. Raises Http404 if ``user`` may not
    see it, if it has no such document or if its mask cannot be opened.
    """
    reading = get_object_or_404(readings.told_to(user), image=pk)
    if document not in readings.documents_of(reading):
        raise Http404("This reading has no mask.")
    name = f"{reading.pk}-{document.name.lower()}"
    try:
        return _file(readings.to_dicom(reading, document, tells), name)
    except (Damaged, KeyDestroyed):
        logger.error("prediction %s: its mask cannot be opened", reading.pk)
        raise Http404(readings.UNREADABLE) from None


def _file(data: bytes, name: str) -> HttpResponse:
    return HttpResponse(
        data,
        content_type="application/dicom",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.dcm"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )
