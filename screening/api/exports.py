"""Downloads of a selection: readings as a table, images as ISIC metadata."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django_filters import rest_framework as django_filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request

from accounts.models import User
from accounts.scope_permission import HasScope
from screening.api import filters
from screening.api.documentation import RecordSchema
from screening.api.tables import FileTypeFilter, table, table_answers
from screening.batches import results
from screening.interop.isic import export
from screening.models import LesionImage, Patient, Prediction

RESEARCH = "Of patients who consented to research, and of the caller's own record. "


class PredictionExportFilter(filters.PredictionFilter):
    file_type = FileTypeFilter()


class DaysFilter(django_filters.ChoiceFilter):
    """Checks the value along with the filters, without filtering rows."""

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        return qs


class ImageExportFilter(filters.ImageFilter):
    file_type = FileTypeFilter()
    days = DaysFilter(
        choices=export.Days.choices,
        help_text="The column that tells the day: `acquisition_day` unless told, as the archive "
        "takes it; `captured_on` to take the table in again with nothing lost.",
    )


class ExportView(GenericAPIView[Any]):
    """All rows of a list at once, with the same filters."""

    permission_classes = [HasScope]
    filter_backends = [filters.StrictFilterBackend]
    http_method_names = ["get", "head"]
    schema = RecordSchema()
    pagination_class = None

    @property
    def user(self) -> User:
        return cast(User, self.request.user)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Clients that accept only CSV get JSON only for errors."""
        return super().perform_content_negotiation(request, force=True)


@extend_schema_view(
    get=extend_schema(
        summary="Export readings",
        description=RESEARCH
        + "All that the filters leave of the list of predictions, the oldest first, "
        "streamed. A clinic that has its clinicians conclude first shows each of them only what "
        "they have concluded on. `counts` says whether a reading is the one of its image that "
        "counts, `told_until` when another took its place: only of those that count is what is "
        "told of an image. A column of a resource that the caller may not read is empty: "
        "`patient_label` needs `patients:read`, `lesion_label` and `body_site` `lesions:read`, "
        "`captured_on` and `modality` `images:read`.",
        responses=table_answers("prediction,image,lesion,…\n019ab0d3-92c1-7f66-…\n"),
    )
)
class PredictionExportView(ExportView):
    scope_resource = "predictions"
    queryset = Prediction.objects.none()
    filterset_class = PredictionExportFilter

    def get(self, request: Request) -> HttpResponseBase:
        consented = Patient.objects.open_to_research(self.user)
        visible = Prediction.objects.visible_to(self.user)
        found = self.filter_queryset(visible.filter(image__lesion__patient__in=consented))
        return table(
            request, "predictions", results.RESULT_COLUMNS, results.results_of(found), results.WHOSE
        )


@extend_schema_view(
    get=extend_schema(
        summary="Export images as ISIC metadata",
        description=RESEARCH
        + "In the ISIC Archive's column names, with HAM10000's `localization` and `dx` "
        "beside them. `patient_id` and `lesion_id` are unique, the labels stand in `patient` and "
        "`lesion`. What an imported manifest told and we have no place for comes back as it "
        "came. A batch takes the same columns. A column of a resource that the caller may not read "
        "is empty: those of the person need `patients:read`, of the spot `lesions:read`, of the "
        "diagnosis `histologies:read`.",
        responses=table_answers(
            "filename,isic_id,patient_id,…\n019ab0d3-92bc-….jpg,ISIC_0027419,…\n"
        ),
    )
)
class IsicExportView(ExportView):
    scope_resource = "images"
    queryset = LesionImage.objects.none()
    filterset_class = ImageExportFilter

    def get(self, request: Request) -> HttpResponseBase:
        consented = Patient.objects.open_to_research(self.user)
        visible = LesionImage.objects.visible_to(self.user)
        found = self.filter_queryset(visible.filter(lesion__patient__in=consented))
        days = request.query_params.get("days", export.Days.COUNTED)
        rows = export.isic_rows(found, self.user, days)
        return table(request, "isic", export.isic_columns(days), rows, export.WHOSE)
