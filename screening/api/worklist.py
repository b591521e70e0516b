"""The worklist, read-only: which lesions need a clinician's attention first."""

from __future__ import annotations

from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets

from screening.api import examples
from screening.api.base import RecordView
from screening.api.fields import BesideStanding, ChoiceOrNull, StandingOutcome
from screening.api.filters import Day, StrictFilterBackend, Text
from screening.api.http.pagination import NumberedPages
from screening.models import Lesion, Management, Outcome
from screening.models.histology import DIAGNOSES
from screening.reviews import worklist
from screening.reviews.worklist import Reason, Reviewed

ITEM: dict[str, Any] = {
    "lesion": examples.LESION["id"],
    "label": "Left shoulder blade",
    "patient": examples.PATIENT["id"],
    "patient_label": "N-0412",
    "clinic": examples.CLINIC["id"],
    "reasons": ["symptom", "unreviewed"],
    "image": examples.IMAGE["id"],
    "arrived": "2026-03-12T09:31:07.412905Z",
    "outcome": "not_assessable",
    "earlier_outcome": None,
    "unread": None,
    "awaits": None,
    "reviewed": False,
    "management": None,
    "histology": None,
    "due_on": "2026-06-12",
}


class WorklistItemSerializer(BesideStanding):
    """A lesion on the worklist, and why it is there."""

    lesion = serializers.UUIDField(source="pk")
    label = serializers.CharField()  # type: ignore[assignment]
    patient = serializers.UUIDField(source="patient_id")
    patient_label = serializers.CharField(source="patient.label")
    clinic = serializers.UUIDField(source="patient.clinic_id")
    reasons = serializers.SerializerMethodField(help_text="The gravest first.")
    image = serializers.UUIDField(
        source="image_to_review",
        allow_null=True,
        help_text="To review: the last captured that no conclusion took into account, or the last.",
    )
    arrived = serializers.DateTimeField(allow_null=True, help_text="When `image` was added.")
    outcome = StandingOutcome(
        help_text="What is told of the lesion: the most severe that nothing has settled, of "
        "whichever image. What you are to conclude on first is left out.",
    )
    reviewed = serializers.BooleanField(source="has_review", help_text="Whether `image` is.")
    management = ChoiceOrNull(Management.choices, help_text="As the last review says.")
    histology = ChoiceOrNull(DIAGNOSES)
    due_on = serializers.DateField(allow_null=True, help_text="When the next picture is due.")

    def get_reasons(self, lesion: Any) -> list[Reason]:
        return [Reason(code) for code in lesion.reasons]


class WorklistFilter(filters.FilterSet):
    clinic = filters.UUIDFilter(help_text="Of this clinic.")
    reason = filters.ChoiceFilter(choices=Reason.choices)
    outcome = filters.ChoiceFilter(choices=Outcome.choices)
    reviewed = filters.ChoiceFilter(
        choices=Reviewed.choices, help_text="`waiting` unless told: what needs eyes."
    )
    arrived_from = Day(help_text="Whose latest image was added on this day or later.")
    arrived_until = Day(help_text="Whose latest image was added on this day or earlier.")
    search = Text(
        help_text="Part of the patient's label, or the lesion's label, body site or notes."
    )

    class Meta:
        model = Lesion
        fields: list[str] = []

    def filter_queryset(self, queryset: Any) -> Any:
        given = {name: value for name, value in self.form.cleaned_data.items() if value}
        return worklist.Worklist(self.request.user, **given)


@extend_schema_view(
    list=extend_schema(
        summary="List what needs a clinician's eyes",
        description="Lesions of the clinics in which you conclude: read as urgent, malignant by "
        "histology and not removed, with an open alert, flagged, with a symptom, overdue, or not "
        "reviewed; in this order, and of those alike what has waited longest first. Where a clinic "
        "has its clinicians conclude first, what was read moves nothing.",
        examples=[OpenApiExample("item", ITEM, response_only=True, status_codes=["200"])],
    )
)
class WorklistViewSet(RecordView, mixins.ListModelMixin, viewsets.GenericViewSet[Any]):
    filter_backends = [StrictFilterBackend]
    http_method_names = ["get", "head"]
    pagination_class = NumberedPages
    queryset = Lesion.objects.none()  # the filter makes the list
    serializer_class = WorklistItemSerializer
    filterset_class = WorklistFilter
    scope_resource = "worklist"
