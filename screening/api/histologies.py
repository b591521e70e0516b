"""Pathologists' diagnoses of lesions. Never edited: a mistake is corrected by a new one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers

from screening.api import examples
from screening.api.base import RecordViewSet
from screening.api.fields import ShownAt, VisibleField, shown
from screening.api.filters import RecordFilter
from screening.api.serializers import RecordSerializer
from screening.models import Histology, Lesion
from screening.models.histology import DIAGNOSES
from screening.reviews import services as review_services

ABOUT = (
    "The pathologist's diagnosis of a lesion: ground truth, above every review and prediction. "
    "Never changed: a mistake is corrected by a new one that names the old in `supersedes`, and "
    "one that should not be here is withdrawn. Of those that stand, the newest of a lesion counts."
)
HISTOLOGY_IN: dict[str, Any] = {
    "lesion": examples.LESION["id"],
    "diagnosis": "mel",
    "examined_on": "2026-03-20",
    "breslow_mm": "0.40",
    "note": "Superficial spreading.",
    "supersedes": None,
}
_ID = "019ab1a7-6e10-7d52-a3c8-2f9b5e0d7c61"
HISTOLOGY: dict[str, Any] = {
    "id": _ID,
    "url": f"https://skincheck.example.org/api/v1/histologies/{_ID}/",
    "created": "2026-03-24T08:12:03.771204Z",
    **HISTOLOGY_IN,
    "shown_at": "2026-03-24T08:10:41.350716Z",
    "superseded_by": None,
    "patient": examples.PATIENT["id"],
    "recorded_by": "clinician@north.example.org",
}


class HistologySerializer(RecordSerializer):
    """The pathologist's diagnosis of a lesion."""

    url = serializers.HyperlinkedIdentityField(view_name="api:histology-detail")
    lesion = VisibleField(
        queryset=Lesion.objects.none(),
        visible_to=lambda user: Lesion.objects.visible_to(user).select_related("patient"),
    )
    supersedes = VisibleField(
        queryset=Histology.objects.none(),
        visible_to=lambda user: Histology.objects.visible_to(user),
        required=False,
        allow_null=True,
        help_text="The standing one of the lesion that this one corrects.",
    )
    shown_at = ShownAt()
    superseded_by = serializers.SerializerMethodField(help_text="`null`: it stands.")
    patient = serializers.UUIDField(source="lesion.patient_id", read_only=True)
    recorded_by = serializers.CharField(read_only=True, help_text="Who entered it.")

    class Meta:
        model = Histology
        fields = [
            "id",
            "url",
            "created",
            "lesion",
            "diagnosis",
            "examined_on",
            "breslow_mm",
            "note",
            "shown_at",
            "supersedes",
            "superseded_by",
            "patient",
            "recorded_by",
        ]
        read_only_fields = ["created"]
        validators: list[Any] = []

    def get_superseded_by(self, histology: Histology) -> UUID | None:
        later = getattr(histology, "superseded_by", None)
        return later.pk if later else None

    def create(self, validated_data: dict[str, Any]) -> Histology:
        lesion: Lesion = validated_data["lesion"]
        fields = shown(validated_data, lesion.created, validated_data.get("supersedes"))
        return review_services.record_histology(user=self.user, **fields)


class HistologyFilter(RecordFilter):
    lesion = filters.UUIDFilter(help_text="Of this lesion.")
    patient = filters.UUIDFilter(field_name="lesion__patient", help_text="Of this patient.")
    diagnosis = filters.ChoiceFilter(choices=DIAGNOSES)

    class Meta:
        model = Histology
        fields: list[str] = []


_SHOWN = OpenApiExample("histology", HISTOLOGY, response_only=True, status_codes=["200", "201"])


@extend_schema_view(
    list=extend_schema(
        summary="List histologies",
        description=f"{ABOUT} The newest first, of all lesions that you may see.",
        examples=[_SHOWN],
    ),
    retrieve=extend_schema(summary="Look at one histology", description=ABOUT, examples=[_SHOWN]),
    create=extend_schema(
        summary="Record a histology",
        description=f"{ABOUT} Clinicians only.",
        examples=[OpenApiExample("record", HISTOLOGY_IN, request_only=True), _SHOWN],
    ),
)
class HistologyViewSet(RecordViewSet):
    queryset = Histology.objects.none()
    serializer_class = HistologySerializer
    filterset_class = HistologyFilter
    scope_resource = "histologies"

    def get_queryset(self) -> QuerySet[Histology]:
        visible = Histology.objects.visible_to(self.user)
        return visible.select_related("lesion", "recorded_by", "superseded_by")
