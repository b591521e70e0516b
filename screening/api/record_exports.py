"""Everything kept about a person or a patient, as one file."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.models import User
from accounts.scope_permission import HasScope
from screening.api.base import ReadViewSet, accepted
from screening.api.documentation import RecordSchema
from screening.api.examples import HOST, PATIENT
from screening.api.fields import StrictSerializer, VisibleField, WordOrNull
from screening.api.filters import RecordFilter
from screening.exports import delivery
from screening.exports import services as export_services
from screening.models import Export, Patient

POLL_AFTER_SECONDS = "5"
ABOUT = (
    "All that is kept about one patient, or about the caller and their own records: pictures as "
    "stored, all records as JSON, FHIR, CSV and PDF, in one ZIP. While `state` is `queued` or "
    "`running`, ask again after `Retry-After` seconds. The file is kept for seven days, for "
    "whoever asked for it, as long as they may export every record in it."
)


class ExportRequestSerializer(StrictSerializer):
    """Whose data."""

    patient = VisibleField(
        queryset=Patient.objects.none(),
        visible_to=lambda user: Patient.objects.visible_to(user),
        allow_null=True,
        required=False,
        help_text="One patient: for the person and admins of the clinic. Leave it out for your "
        "account and all of your own records; a key of a clinic cannot.",
    )


class ExportSerializer(serializers.ModelSerializer[Export]):
    """One file with everything."""

    url = serializers.HyperlinkedIdentityField(view_name="api:export-detail")
    failure = WordOrNull(help_text="Why there is no file.")
    sha256 = WordOrNull(help_text="Of the file.")
    file_url = serializers.SerializerMethodField(help_text="`null`: there is no file.")

    class Meta:
        model = Export
        fields = [
            "id",
            "url",
            "created",
            "patient",
            "state",
            "steps",
            "steps_done",
            "failure",
            "finished_at",
            "expires_at",
            "file_bytes",
            "sha256",
            "file_url",
        ]
        read_only_fields = fields

    def get_file_url(self, export: Export) -> str | None:
        if not export.is_ready:
            return None
        return reverse("api:export-file", args=[export.pk], request=self.context.get("request"))


_ID = "019ab1c8-1f20-7a64-b0d9-3c8e5f7a9b15"
READY: dict[str, Any] = {
    "id": _ID,
    "url": f"{HOST}/exports/{_ID}/",
    "created": "2026-03-24T09:40:11.203377Z",
    "patient": PATIENT["id"],
    "state": "ready",
    "steps": 63,
    "steps_done": 63,
    "failure": None,
    "finished_at": "2026-03-24T09:40:27.918204Z",
    "expires_at": "2026-03-31T09:40:27.918204Z",
    "file_bytes": 18204117,
    "sha256": "9f2c6b1de0a7443b8f1f4a0d2f7c5e9b6a8d3c1e0f2b4d6a8c9e1f3b5d7a9c0e",
    "file_url": f"{HOST}/exports/{_ID}/file/",
}
QUEUED: dict[str, Any] = {
    **READY,
    "state": "queued",
    "steps": 0,
    "steps_done": 0,
    **dict.fromkeys(("finished_at", "expires_at", "file_bytes", "sha256", "file_url")),
}


class ExportFilter(RecordFilter):
    patient = filters.UUIDFilter(help_text="Of this patient.")
    state = filters.ChoiceFilter(choices=Export.State.choices)

    class Meta:
        model = Export
        fields: list[str] = []


def _shown(name: str, value: Any, code: int) -> list[OpenApiExample]:
    return [OpenApiExample(name, value, response_only=True, status_codes=[str(code)])]


@extend_schema_view(
    list=extend_schema(
        summary="List exports",
        description="The newest first, of those that you asked for.",
        examples=_shown("export", READY, 200),
    ),
    retrieve=extend_schema(
        summary="Look at one export", description=ABOUT, examples=_shown("export", READY, 200)
    ),
    create=extend_schema(
        summary="Export a whole record",
        description=f"{ABOUT} One that is under way is answered with, instead of a second.",
        request=ExportRequestSerializer,
        responses={202: OpenApiResponse(ExportSerializer, description="A worker begins.")},
        examples=[
            OpenApiExample("patient", {"patient": PATIENT["id"]}, request_only=True),
            *_shown("queued", QUEUED, 202),
        ],
    ),
)
class ExportViewSet(ReadViewSet):
    scope_resource = "exports"
    recent_log_in = ("create",)
    queryset = Export.objects.none()
    serializer_class = ExportSerializer
    filterset_class = ExportFilter
    http_method_names = ["get", "head", "post"]

    def get_queryset(self) -> QuerySet[Export]:
        return Export.objects.visible_to(self.user).latest_first()

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        response = super().retrieve(request, *args, **kwargs)
        if getattr(response, "data", {}).get("state") in ("queued", "running"):
            response.headers["Retry-After"] = POLL_AFTER_SECONDS
        return response

    def create(self, request: Request) -> Response:
        sent = ExportRequestSerializer(data=request.data, context=self.get_serializer_context())
        sent.is_valid(raise_exception=True)
        export = export_services.request_export(user=self.user, **sent.validated_data)
        shown = self.get_serializer(export).data
        return accepted(shown, poll_after=POLL_AFTER_SECONDS)


class ExportFileView(APIView):
    scope_resource = "exports"
    recent_log_in = ("get", "head")
    permission_classes = [HasScope]
    http_method_names = ["get", "head"]
    schema = RecordSchema()

    @extend_schema(
        summary="The file of an export",
        description="The ZIP. Its form is described in `docs/export.md`, and in the file by a JSON "
        "Schema. Each picture in it is logged as shown to you.",
        responses={
            (200, delivery.CONTENT_TYPE): OpenApiResponse(OpenApiTypes.BINARY, description="A ZIP.")
        },
    )
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        return delivery.deliver(user=cast(User, request.user), pk=pk)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Clients that accept only a ZIP get JSON only for errors."""
        return super().perform_content_negotiation(request, force=True)
