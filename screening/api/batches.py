"""Batches over the API: upload, progress, cancel, resume, and results."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django_filters import rest_framework as filters
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.models import Clinic
from ml.opening.limits import size_in_words
from screening.api.base import ReadViewSet, accepted
from screening.api.examples import CLINIC
from screening.api.fields import StrictSerializer, VisibleField, WordOrNull, confirms_field
from screening.api.filters import RecordFilter
from screening.api.http.parsers import ArchiveUpload
from screening.api.tables import TableFilter, table, table_answers
from screening.batches import results
from screening.batches import services as batch_services
from screening.batches.archives import MAX_ARCHIVE_BYTES, MAX_JSON_LINES_BYTES
from screening.batches.queries import Counts, counts_of, with_counts
from screening.models import ACTIVE_BATCH, Batch


class BatchUploadSerializer(StrictSerializer):
    """An archive to import."""

    archive = serializers.FileField(
        help_text="A ZIP with a manifest (CSV or JSON lines) and the pictures, up to "
        f"{size_in_words(MAX_ARCHIVE_BYTES)}; or JSON lines with the pictures in base64, up to "
        f"{size_in_words(MAX_JSON_LINES_BYTES)}."
    )
    clinic = VisibleField(
        queryset=Clinic.objects.none(),
        visible_to=lambda user: Clinic.objects.with_member(user),
        allow_null=True,
        required=False,
        help_text="Whose patients these are. Leave it out for your own skin.",
    )
    confirms = confirms_field()
    dry_run = serializers.BooleanField(
        default=False, help_text="Check all rows and pictures, and import nothing until resumed."
    )
    captured_on = serializers.DateField(
        required=False,
        help_text="Of rows without a day, and of ISIC's acquisition_day 0. Without it, a row "
        "without a day has the one in its picture's file (EXIF, DICOM), or today.",
    )


class CountsSerializer(serializers.Serializer[Counts]):
    """Rows of the manifest by result."""

    rows = serializers.IntegerField(help_text="All; 0 until the manifest is read.")
    waiting = serializers.IntegerField()
    checked = serializers.IntegerField(help_text="By a dry run, without a fault.")
    imported = serializers.IntegerField(help_text="Their images are in the record.")
    known = serializers.IntegerField(help_text="Of these, pictures that were there before.")
    read = serializers.IntegerField(help_text="Imported and read by the model.")
    failed = serializers.IntegerField(help_text="Imported, but the reading failed.")
    refused = serializers.IntegerField(help_text="See `problems_url`.")


class BatchSerializer(serializers.ModelSerializer[Batch]):
    """Many images at once."""

    url = serializers.HyperlinkedIdentityField(view_name="api:batch-detail")
    counts = serializers.SerializerMethodField()
    failure = WordOrNull(help_text="Why the batch as a whole was refused or stopped.")
    unknown_columns = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="Left aside: nobody knows them."
    )
    problems_url = serializers.SerializerMethodField()
    results_url = serializers.SerializerMethodField()

    class Meta:
        model = Batch
        fields = [
            "id",
            "url",
            "created",
            "clinic",
            "state",
            "dry_run",
            "captured_on",
            "counts",
            "unknown_columns",
            "failure",
            "finished_at",
            "problems_url",
            "results_url",
        ]
        read_only_fields = fields

    @extend_schema_field(CountsSerializer)
    def get_counts(self, batch: Batch) -> dict[str, Any]:
        return dict(CountsSerializer(counts_of(batch)).data)

    def get_problems_url(self, batch: Batch) -> str:
        return self._address("api:batch-problems", batch)

    def get_results_url(self, batch: Batch) -> str:
        return self._address("api:batch-results", batch)

    def _address(self, name: str, batch: Batch) -> str:
        return reverse(name, args=[batch.pk], request=self.context.get("request"))


POLL_AFTER_SECONDS = "2"
HOST = "https://skincheck.example.org/api/v1"
_BATCH = "019ab0f4-6e21-7d3b-9c55-2a7f0b8e4d16"

EXAMPLE: dict[str, Any] = {
    "id": _BATCH,
    "url": f"{HOST}/batches/{_BATCH}/",
    "created": "2026-03-12T10:02:44.020113Z",
    "clinic": CLINIC["id"],
    "state": "finished",
    "dry_run": False,
    "captured_on": "2026-03-12",
    "counts": {
        "rows": 1000,
        "waiting": 0,
        "checked": 0,
        "imported": 980,
        "known": 0,
        "read": 980,
        "failed": 0,
        "refused": 20,
    },
    "unknown_columns": ["remark"],
    "failure": None,
    "finished_at": "2026-03-12T10:03:51.733820Z",
    "problems_url": f"{HOST}/batches/{_BATCH}/problems/",
    "results_url": f"{HOST}/batches/{_BATCH}/results/",
}
QUEUED: dict[str, Any] = {
    **EXAMPLE,
    "state": "queued",
    "counts": dict.fromkeys(EXAMPLE["counts"], 0),
    "unknown_columns": [],
    "finished_at": None,
}


class BatchFilter(RecordFilter):
    clinic = filters.UUIDFilter(help_text="Of this clinic.")
    state = filters.ChoiceFilter(choices=Batch.State.choices)

    class Meta:
        model = Batch
        fields: list[str] = []


_ABOUT = (
    "Many images in one upload: each row of the manifest is checked and imported by itself, and "
    "the good ones are kept. While `state` is `queued`, `checking` or `importing`, ask again "
    "after `Retry-After` seconds."
)
_MOVED = {202: OpenApiResponse(BatchSerializer, description="The batch as it is now.")}


def _shown(name: str, value: Any, *codes: int) -> list[OpenApiExample]:
    return [OpenApiExample(name, value, response_only=True, status_codes=[str(c) for c in codes])]


@extend_schema_view(
    list=extend_schema(
        summary="List batches",
        description="The newest first, of all that you may see.",
        examples=_shown("batch", EXAMPLE, 200),
    ),
    retrieve=extend_schema(
        summary="Look at one batch", description=_ABOUT, examples=_shown("batch", EXAMPLE, 200)
    ),
    create=extend_schema(
        summary="Upload a batch",
        description=f"{_ABOUT} An archive that is encrypted, nested, damaged, a bomb, or leads out "
        "of itself is refused at once. Patients and lesions are found by their identifiers in the "
        "clinic, or made.",
        request={"multipart/form-data": BatchUploadSerializer},
        responses={202: OpenApiResponse(BatchSerializer, description="Stored; a worker begins.")},
        examples=_shown("queued", QUEUED, 202),
    ),
    cancel=extend_schema(
        summary="Cancel a batch",
        description="No further row is begun. What is imported stays.",
        examples=_shown("cancelled", {**EXAMPLE, "state": "cancelled", "finished_at": None}, 202),
        request=None,
        responses=_MOVED,
    ),
    resume=extend_schema(
        summary="Resume a batch",
        description="Goes on where it was cancelled, or imports what a dry run has checked. Its "
        "archive is kept for seven days.",
        examples=_shown("importing", {**EXAMPLE, "state": "importing", "finished_at": None}, 202),
        request=None,
        responses=_MOVED,
    ),
    problems=extend_schema(
        summary="What is wrong with which row",
        description="A line for each fault: the row as a spreadsheet counts it, the picture, the "
        "column and the reason. Of an imported row, what the record of a patient or lesion that "
        "was there says otherwise: it is left as it is.",
        responses=table_answers("row,image,column,reason\n14,ISIC_0000012,sex,“x” is neither …\n"),
        filters=True,
    ),
    results=extend_schema(
        summary="The readings of a batch",
        description="A line for each row that has one. Texts that a spreadsheet would take for a "
        "formula begin with an apostrophe, in CSV. What was read needs `predictions:read`, and "
        "the columns of the picture, the spot and the person the scopes of these.",
        responses=table_answers("row,picture,prediction,…\n2,ISIC_0000000,019ab0d3-92c1-…\n"),
        filters=True,
    ),
)
class BatchViewSet(ReadViewSet):
    scope_resource = "batches"
    queryset = Batch.objects.none()
    serializer_class = BatchSerializer
    filterset_class = BatchFilter
    # The archive is copied while the request runs; known rows are not repeated.
    in_one_transaction = False

    def get_queryset(self) -> QuerySet[Batch]:
        return with_counts(Batch.objects.visible_to(self.user))

    def get_parsers(self) -> list[Any]:
        uploads = getattr(self, "action_map", {}).get("post") == "create"
        return [ArchiveUpload()] if uploads else super().get_parsers()

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Clients that accept only CSV get JSON only for errors."""
        tables = self.action in ("problems", "results")
        return super().perform_content_negotiation(request, force=force or tables)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        response = super().retrieve(request, *args, **kwargs)
        if getattr(response, "data", {}).get("state") in ACTIVE_BATCH:
            response.headers["Retry-After"] = POLL_AFTER_SECONDS
        return response

    def create(self, request: Request) -> Response:
        sent = BatchUploadSerializer(data=request.data, context=self.get_serializer_context())
        sent.is_valid(raise_exception=True)
        return self._accepted(batch_services.upload_batch(user=self.user, **sent.validated_data))

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        return self._accepted(batch_services.cancel_batch(user=self.user, batch=self.get_object()))

    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        return self._accepted(batch_services.resume_batch(user=self.user, batch=self.get_object()))

    @action(detail=True, filterset_class=TableFilter)
    def problems(self, request: Request, pk: str) -> HttpResponseBase:
        batch = self._with_table(request)
        rows = results.problem_rows(batch)
        return table(request, "problems", results.PROBLEM_COLUMNS, rows)

    @action(detail=True, filterset_class=TableFilter)
    def results(self, request: Request, pk: str) -> HttpResponseBase:
        batch = self._with_table(request)
        rows = results.results_of_batch(batch, self.user)
        return table(request, "results", results.BATCH_COLUMNS, rows, results.WHOSE)

    def _with_table(self, request: Request) -> Batch:
        self.filter_queryset(self.get_queryset())  # rejects invalid parameters
        batch: Batch = self.get_object()
        return batch

    def _accepted(self, batch: Batch) -> Response:
        shown = self.get_serializer(self.get_queryset().get(pk=batch.pk)).data
        return accepted(shown, poll_after=POLL_AFTER_SECONDS if batch.is_active else None)
