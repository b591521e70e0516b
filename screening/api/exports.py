"""Downloads of a selection: readings as a table, images as ISIC metadata."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import Count, Q, QuerySet
from django.http.response import HttpResponseBase
from django_filters import rest_framework as django_filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request

from accounts.models import User
from accounts.scope_permission import HasScope
from screening.api import filters
from screening.api.documentation import RecordSchema
from screening.api.http.schema import header
from screening.api.tables import FileTypeFilter, table, table_answers
from screening.batches import results
from screening.interop.isic import export
from screening.models import LesionImage, Patient, Prediction

RESEARCH = (
    "Of patients who consented to research, and of the caller's own record. `Left-Out` says how "
    "much is missing for lack of consent. "
)
LEFT_OUT = header(
    "Left-Out",
    "Rows that match, and their patients, that are not in the file because the patients have not "
    'consented to research: `rows=12, patients=3, reason="no-research-consent"`. Absent if there '
    "are none.",
    200,
)


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
    """All rows of a list at once, with the same filters. patient: the path to a row's patient."""

    patient: str
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

    def get(self, request: Request) -> HttpResponseBase:
        found = self.filter_queryset(self.get_queryset())
        consented = Q(**{f"{self.patient}__in": Patient.objects.open_to_research(self.user)})
        left = found.exclude(consented).aggregate(
            rows=Count("pk", distinct=True), patients=Count(self.patient, distinct=True)
        )
        answer = self.table_of(found.filter(consented))
        if left["rows"]:
            answer["Left-Out"] = (
                f'rows={left["rows"]}, patients={left["patients"]}, reason="no-research-consent"'
            )
        return answer

    def table_of(self, found: QuerySet[Any]) -> HttpResponseBase:
        raise NotImplementedError


@extend_schema_view(
    get=extend_schema(
        summary="Export readings",
        parameters=[LEFT_OUT],
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
    patient = "image__lesion__patient"
    filterset_class = PredictionExportFilter

    def get_queryset(self) -> QuerySet[Prediction]:
        return Prediction.objects.visible_to(self.user)

    def table_of(self, found: QuerySet[Prediction]) -> HttpResponseBase:
        rows = results.results_of(found)
        return table(self.request, "predictions", results.RESULT_COLUMNS, rows, results.WHOSE)


@extend_schema_view(
    get=extend_schema(
        summary="Export images as ISIC metadata",
        parameters=[LEFT_OUT],
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
    patient = "lesion__patient"
    filterset_class = ImageExportFilter

    def get_queryset(self) -> QuerySet[LesionImage]:
        return LesionImage.objects.visible_to(self.user)

    def table_of(self, found: QuerySet[LesionImage]) -> HttpResponseBase:
        days = self.request.query_params.get("days", export.Days.COUNTED)
        rows = export.isic_rows(found, self.user, days)
        return table(self.request, "isic", export.isic_columns(days), rows, export.WHOSE)
