"""The pictures themselves. ``images.delivery`` checks, logs and streams them."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from screening.images import delivery
from screening.interop.dicom.delivery import download, download_reading
from screening.interop.dicom.uids import Document
from screening.web.views.requests import UserRequest


@require_safe
def rendition(request: UserRequest, pk: UUID, rendition: str) -> HttpResponseBase:
    return delivery.deliver(request=request, user=request.user, pk=pk, rendition=rendition)


@require_safe
def dicom(request: UserRequest, pk: UUID) -> HttpResponse:
    return download(user=request.user, pk=pk)


@require_safe
def reading(request: UserRequest, pk: UUID, document: Document) -> HttpResponse:
    return download_reading(user=request.user, pk=pk, document=document)
