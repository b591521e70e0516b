"""A lesion or a patient as PDF, to print or to hand to a doctor."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import User
from accounts.scope_permission import HasScope
from screening.api import documentation as doc
from screening.report.delivery import hand_lesion_report, hand_patient_report

_PDF = {(200, "application/pdf"): OpenApiResponse(OpenApiTypes.BINARY, description="A4.")}
_ABOUT = (
    "What people concluded stands first, then what was read, with its limits and the disclaimer. "
    "Each picture in it is logged as shown to you."
)


class ReportView(APIView):
    permission_classes = [HasScope]
    http_method_names = ["get", "head"]
    schema = doc.RecordSchema()
    scope_resource = "reports"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Clients that ask for a PDF get JSON only for errors."""
        return super().perform_content_negotiation(request, force=True)


@extend_schema_view(
    get=extend_schema(
        summary="The report of a lesion",
        description=f"Images with their outline, the chance over time, measures, alerts. {_ABOUT}",
        responses=_PDF,
    )
)
class LesionReportView(ReportView):
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        return hand_lesion_report(user=cast(User, request.user), pk=pk)


@extend_schema_view(
    get=extend_schema(
        summary="The report of a patient",
        description="Every lesion in a table, and those that are to be looked at first in full. "
        f"{_ABOUT}",
        responses=_PDF,
    )
)
class PatientReportView(ReportView):
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        return hand_patient_report(user=cast(User, request.user), pk=pk)
