"""Visits to a doctor, as people report them. Never edited: see ``api.histologies``."""

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
from screening.models import DoctorVisit, Finding, Lesion
from screening.records import visits

ABOUT = (
    "What a doctor said of a lesion, as the person whose skin it is enters it. It settles what the "
    "images up to that day said when it was entered: see `standing_outcome` of the lesion. A "
    "reading that comes later, and is more severe than what was told then, stands. On a clinic's "
    "record it settles nothing: the clinic decides. A mistake is corrected by a new one "
    "that names the old in `supersedes`, and one that should not be there is withdrawn."
)
VISIT_IN: dict[str, Any] = {
    "lesion": examples.LESION["id"],
    "visited_on": "2026-03-18",
    "finding": "harmless",
    "note": "Looked at through a dermatoscope.",
    "supersedes": None,
}
_ID = "019ab1b2-11c4-7a3e-8d07-5c6e2f9a1b34"
VISIT: dict[str, Any] = {
    "id": _ID,
    "url": f"https://skincheck.example.org/api/v1/visits/{_ID}/",
    "created": "2026-03-18T17:40:09.118734Z",
    **VISIT_IN,
    "shown_at": "2026-03-18T17:38:22.604511Z",
    "superseded_by": None,
    "patient": examples.PATIENT["id"],
    "recorded_by": "person@example.org",
}


class VisitSerializer(RecordSerializer):
    """A visit to a doctor about a lesion."""

    url = serializers.HyperlinkedIdentityField(view_name="api:visit-detail")
    lesion = VisibleField(
        queryset=Lesion.objects.none(),
        visible_to=lambda user: Lesion.objects.visible_to(user).select_related("patient"),
    )
    supersedes = VisibleField(
        queryset=DoctorVisit.objects.none(),
        visible_to=lambda user: DoctorVisit.objects.visible_to(user),
        required=False,
        allow_null=True,
        help_text="The standing one of the lesion that this one corrects.",
    )
    shown_at = ShownAt()
    superseded_by = serializers.SerializerMethodField(help_text="`null`: it stands.")
    patient = serializers.UUIDField(source="lesion.patient_id", read_only=True)
    recorded_by = serializers.CharField(read_only=True, help_text="Who entered it.")

    class Meta:
        model = DoctorVisit
        fields = [
            "id",
            "url",
            "created",
            "lesion",
            "visited_on",
            "finding",
            "note",
            "shown_at",
            "supersedes",
            "superseded_by",
            "patient",
            "recorded_by",
        ]
        read_only_fields = ["created"]
        validators: list[Any] = []

    def get_superseded_by(self, visit: DoctorVisit) -> UUID | None:
        later = getattr(visit, "superseded_by", None)
        return later.pk if later else None

    def create(self, validated_data: dict[str, Any]) -> DoctorVisit:
        lesion: Lesion = validated_data["lesion"]
        fields = shown(validated_data, lesion.created, validated_data.get("supersedes"))
        return visits.record_visit(user=self.user, **fields)


class VisitFilter(RecordFilter):
    lesion = filters.UUIDFilter(help_text="About this lesion.")
    patient = filters.UUIDFilter(field_name="lesion__patient", help_text="Of this patient.")
    finding = filters.ChoiceFilter(choices=Finding.choices)

    class Meta:
        model = DoctorVisit
        fields: list[str] = []


_SHOWN = OpenApiExample("visit", VISIT, response_only=True, status_codes=["200", "201"])


@extend_schema_view(
    list=extend_schema(
        summary="List visits to a doctor",
        description=f"{ABOUT} The newest first, of all lesions that you may see.",
        examples=[_SHOWN],
    ),
    retrieve=extend_schema(summary="Look at one visit", description=ABOUT, examples=[_SHOWN]),
    create=extend_schema(
        summary="Enter a visit to a doctor",
        description=f"{ABOUT} Only on one's own record: a clinic's members record reviews. "
        "`removed` closes the lesion, unless a clinic follows the record.",
        examples=[OpenApiExample("visit", VISIT_IN, request_only=True), _SHOWN],
    ),
)
class VisitViewSet(RecordViewSet):
    queryset = DoctorVisit.objects.none()
    serializer_class = VisitSerializer
    filterset_class = VisitFilter
    scope_resource = "visits"

    def get_queryset(self) -> QuerySet[DoctorVisit]:
        visible = DoctorVisit.objects.visible_to(self.user)
        return visible.select_related("lesion", "recorded_by", "superseded_by")
