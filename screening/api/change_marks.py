"""What people saw in comparisons. The newest mark of a comparison supersedes the older ones."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from screening.api import examples
from screening.api.comparisons import COMPARISON
from screening.api.documentation import reading, sent, shown
from screening.api.fields import VisibleField
from screening.api.filters import RecordFilter
from screening.api.serializers import RecordSerializer
from screening.api.viewsets import RecordViewSet
from screening.comparisons import marks
from screening.models import ChangeMark, Comparison

ABOUT = (
    "Someone looked at a comparison and says whether the lesion changed. Never changed: a later "
    "mark stands above it."
)
_ID = "019ab0d7-58cd-7a63-8f20-1d9b4e7c6a17"
MARK_IN: dict[str, Any] = {
    "comparison": COMPARISON["id"],
    "verdict": "unchanged",
    "note": "The same network; the light differs.",
}
MARK: dict[str, Any] = {
    "id": _ID,
    "url": f"{examples.HOST}/change-marks/{_ID}/",
    "created": "2026-03-12T09:40:27.650093Z",
    **MARK_IN,
    "lesion": examples.LESION["id"],
    "marked_by": "clinician@north.example.org",
}


class ChangeMarkSerializer(RecordSerializer):
    """What a person saw in a comparison."""

    url = serializers.HyperlinkedIdentityField(view_name="api:change-mark-detail")
    comparison = VisibleField(
        queryset=Comparison.objects.none(),
        visible_to=lambda user: Comparison.objects.visible_to(user).select_related(
            "later__lesion__patient"
        ),
    )
    lesion = serializers.UUIDField(source="comparison.later.lesion_id", read_only=True)
    marked_by = serializers.CharField(read_only=True)

    class Meta:
        model = ChangeMark
        fields = [
            "id",
            "url",
            "created",
            "comparison",
            "verdict",
            "note",
            "lesion",
            "marked_by",
        ]
        read_only_fields = ["created"]
        validators: list[Any] = []

    def create(self, validated_data: dict[str, Any]) -> ChangeMark:
        return marks.mark_comparison(user=self.user, **validated_data)


class ChangeMarkFilter(RecordFilter):
    comparison = filters.UUIDFilter(help_text="On this comparison.")
    lesion = filters.UUIDFilter(field_name="comparison__later__lesion", help_text="Of this lesion.")
    verdict = filters.ChoiceFilter(choices=ChangeMark.Verdict.choices)

    class Meta:
        model = ChangeMark
        fields: list[str] = []


@extend_schema_view(
    **reading("change mark", MARK, ABOUT),
    create=extend_schema(
        summary="Say what you saw",
        description=ABOUT,
        examples=[sent("mark", MARK_IN), shown("recorded", MARK, 201)],
    ),
)
class ChangeMarkViewSet(RecordViewSet):
    scope_resource = "change-marks"
    queryset = ChangeMark.objects.none()
    serializer_class = ChangeMarkSerializer
    filterset_class = ChangeMarkFilter

    def get_queryset(self) -> QuerySet[ChangeMark]:
        visible = ChangeMark.objects.visible_to(self.user)
        return visible.select_related("comparison__later", "marked_by")
