"""Outlines drawn by people. The model's own stays with its prediction."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from screening.api import examples
from screening.api.documentation import reading, sent, shown
from screening.api.fields import VisibleField
from screening.api.filters import RecordFilter
from screening.api.serializers import RecordSerializer
from screening.api.viewsets import RecordViewSet
from screening.measurements import outlines
from screening.models import LesionImage, Outline

ABOUT = (
    "A lesion's outline as a person drew it: a closed polygon that does not cross itself. Never "
    "changed: the newest of an image stands, above the model's mask, and a worker measures the "
    "image within it soon after."
)
_ID = "019ab0d6-2b80-7f4e-9d17-4e8a6c1f3b85"
OUTLINE_IN: dict[str, Any] = {
    "image": examples.IMAGE["id"],
    "points": [[0.31, 0.42], [0.48, 0.27], [0.66, 0.4], [0.61, 0.7], [0.38, 0.68]],
}
OUTLINE: dict[str, Any] = {
    "id": _ID,
    "url": f"{examples.HOST}/outlines/{_ID}/",
    "created": "2026-03-12T09:34:02.331907Z",
    **OUTLINE_IN,
    "lesion": examples.LESION["id"],
    "drawn_by": "clinician@north.example.org",
}


class OutlineSerializer(RecordSerializer):
    """A lesion's outline drawn by a person."""

    url = serializers.HyperlinkedIdentityField(view_name="api:outline-detail")
    image = VisibleField(
        queryset=LesionImage.objects.none(),
        visible_to=lambda user: LesionImage.objects.visible_to(user).select_related(
            "lesion__patient"
        ),
    )
    lesion = serializers.UUIDField(source="image.lesion_id", read_only=True)
    points = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2),
        help_text="3 to 200: x, y from the top left corner, 0 to 1 over the image.",
    )
    drawn_by = serializers.CharField(read_only=True)

    class Meta:
        model = Outline
        fields = [
            "id",
            "url",
            "created",
            "image",
            "points",
            "lesion",
            "drawn_by",
        ]
        read_only_fields = ["created"]
        validators: list[Any] = []

    def create(self, validated_data: dict[str, Any]) -> Outline:
        points = [(x, y) for x, y in validated_data["points"]]
        image = validated_data["image"]
        return outlines.draw_outline(user=self.user, image=image, points=points)


class OutlineFilter(RecordFilter):
    image = filters.UUIDFilter(help_text="Of this image: the first one stands.")
    lesion = filters.UUIDFilter(field_name="image__lesion", help_text="Of this lesion's images.")

    class Meta:
        model = Outline
        fields: list[str] = []


@extend_schema_view(
    **reading("outline", OUTLINE, ABOUT),
    create=extend_schema(
        summary="Draw an outline",
        description=ABOUT,
        examples=[sent("outline", OUTLINE_IN), shown("drawn", OUTLINE, 201)],
    ),
)
class OutlineViewSet(RecordViewSet):
    scope_resource = "outlines"
    queryset = Outline.objects.none()
    serializer_class = OutlineSerializer
    filterset_class = OutlineFilter

    def get_queryset(self) -> QuerySet[Outline]:
        return Outline.objects.visible_to(self.user).select_related("image", "drawn_by")  # type: ignore[return-value]
