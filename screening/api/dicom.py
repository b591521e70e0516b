"""A picture as a DICOM file."""

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
from screening.interop.dicom.delivery import download
from screening.interop.dicom.writer import ABOUT


class DicomView(APIView):
    scope_resource = "images"
    permission_classes = [HasScope]
    http_method_names = ["get", "head"]
    schema = RecordSchema()

    @extend_schema(
        summary="The picture as DICOM",
        description="Dermoscopic Photography or, of an ordinary photograph, VL Photographic. The "
        "person is a pseudonym; the day of capture is in it, with `patients:read` sex and age, "
        "with `lesions:read` the body site, and with `scales:read` the pixel spacing, where it is "
        "known. The same picture always has the same UIDs. Each look is logged with your name.",
        responses={
            (200, "application/dicom"): OpenApiResponse(
                OpenApiTypes.BINARY, description="A DICOM file (PS3.10)."
            )
        },
    )
    def get(self, request: Request, pk: UUID) -> HttpResponse:
        tells = [resource for resource in ABOUT if may_read(request, resource)]
        return download(user=cast(User, request.user), pk=pk, tells=tells)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Clients that accept only DICOM get JSON only for errors."""
        return super().perform_content_negotiation(request, force=True)
