"""Delivery of a picture as a DICOM file, checked and logged like any other access."""

from __future__ import annotations

from collections.abc import Container
from uuid import UUID

from django.http import HttpResponse

from accounts.models import User
from screening.images import delivery
from screening.interop.dicom.writer import ABOUT, to_dicom


def download(*, user: User, pk: UUID, tells: Container[str] = ABOUT) -> HttpResponse:
    """Return the DICOM file. tells: as in ``to_dicom``. Raises Http404 for images that ``user`` may
    not see, and for a lost or damaged file.
    """
    image = delivery.looked_at(user=user, pk=pk)
    return HttpResponse(
        to_dicom(image, delivery.picture_of(image), tells),
        content_type="application/dicom",
        headers={
            "Content-Disposition": f'attachment; filename="{image.pk}.dcm"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )
