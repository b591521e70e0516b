"""A picture, and its reading, as DICOM files."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import User
from accounts.scope_permission import HasScope, may_read
from screening.api.documentation import RecordSchema
from screening.interop.dicom.delivery import download, download_reading
from screening.interop.dicom.uids import Document
from screening.interop.dicom.writer import ABOUT

FILE = {
    (200, "application/dicom"): OpenApiResponse(
        OpenApiTypes.BINARY, description="A DICOM file (PS3.10)."
    )
}


class _FileView(APIView):
    permission_classes = [HasScope]
    http_method_names = ["get", "head"]
    schema = RecordSchema()

    @property
    def tells(self) -> list[str]:
        return [resource for resource in ABOUT if may_read(self.request, resource)]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Clients that accept only DICOM get JSON only for errors."""
        return super().perform_content_negotiation(request, force=True)


class DicomView(_FileView):
    scope_resource = "images"

    @extend_schema(
        summary="The picture as DICOM",
        description="Dermoscopic Photography or, of an ordinary photograph, VL Photographic. The "
        "person is a pseudonym; the day of capture is in it, with `patients:read` sex and age, "
        "with `lesions:read` the body site, and with `scales:read` the pixel spacing, where it is "
        "known. The same picture always has the same UIDs. Each look is logged with your name.",
        responses=FILE,
    )
    def get(self, request: Request, pk: UUID) -> HttpResponse:
        return download(user=cast(User, request.user), pk=pk, tells=self.tells)


class _ReadingView(_FileView):
    scope_resource = "predictions"
    document: Document

    def get(self, request: Request, pk: UUID) -> HttpResponse:
        user = cast(User, request.user)
        return download_reading(user=user, pk=pk, document=self.document, tells=self.tells)


@extend_schema(
    summary="The reading as DICOM",
    description="A structured report (TID 1500, Measurement Report) of the reading that counts: "
    "its outcome, probabilities and advice. It is unverified and preliminary: research, not a "
    "diagnosis. The outcome of a reading may change, by a symptom for example: the report then "
    "has another SOP Instance UID. 404 while there is no reading that you may see.",
    responses=FILE,
)
class ReadingReportView(_ReadingView):
    document = Document.REPORT


@extend_schema(
    summary="The lesion's outline as DICOM",
    description="A Segmentation of one segment, the lesion as the model found it, in the size of "
    "the picture. 404 if the picture could not be assessed, too.",
    responses=FILE,
)
class ReadingMaskView(_ReadingView):
    document = Document.MASK
