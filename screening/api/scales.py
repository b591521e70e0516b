"""Sizes of images' pixels. The newest scale of an image is current."""

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
from screening.models import ImageScale, LesionImage

ABOUT = (
    "How large a pixel of an image is, by a field of view, the device's pixel spacing or a ruler "
    "in the picture. Never changed: the newest of an image stands. Without one no size of that "
    "image is told in millimetres."
)
_ID = "019ab0d5-61f3-7b2a-a4d8-9c3e7f0b5d74"
SCALE_IN: dict[str, Any] = {
    "image": examples.IMAGE["id"],
    "source": "field_of_view",
    "mm_per_pixel": 0.0333,
}
SCALE: dict[str, Any] = {
    "id": _ID,
    "url": f"{examples.HOST}/scales/{_ID}/",
    "created": "2026-03-12T09:33:15.904411Z",
    **SCALE_IN,
    "lesion": examples.LESION["id"],
    "set_by": "clinician@north.example.org",
}


class ScaleSerializer(RecordSerializer):
    """The size of an image's pixels."""

    url = serializers.HyperlinkedIdentityField(view_name="api:scale-detail")
    image = VisibleField(
        queryset=LesionImage.objects.none(),
        visible_to=lambda user: LesionImage.objects.visible_to(user).select_related(
            "lesion__patient"
        ),
    )
    lesion = serializers.UUIDField(source="image.lesion_id", read_only=True)
    mm_per_pixel = serializers.FloatField(
        help_text="Over 0, at most 1. Of a field of view: its millimetres divided by the image's "
        "`width`."
    )
    set_by = serializers.CharField(read_only=True)

    class Meta:
        model = ImageScale
        fields = [
            "id",
            "url",
            "created",
            "image",
            "source",
            "mm_per_pixel",
            "lesion",
            "set_by",
        ]
        read_only_fields = ["created"]
        validators: list[Any] = []

    def create(self, validated_data: dict[str, Any]) -> ImageScale:
        return outlines.set_scale(user=self.user, **validated_data)


class ScaleFilter(RecordFilter):
    image = filters.UUIDFilter(help_text="Of this image: the first one stands.")
    lesion = filters.UUIDFilter(field_name="image__lesion", help_text="Of this lesion's images.")

    class Meta:
        model = ImageScale
        fields: list[str] = []


@extend_schema_view(
    **reading("scale", SCALE, ABOUT),
    create=extend_schema(
        summary="Set the scale of an image",
        description=ABOUT,
        examples=[sent("scale", SCALE_IN), shown("set", SCALE, 201)],
    ),
)
class ScaleViewSet(RecordViewSet):
    scope_resource = "scales"
    queryset = ImageScale.objects.none()
    serializer_class = ScaleSerializer
    filterset_class = ScaleFilter

    def get_queryset(self) -> QuerySet[ImageScale]:
        return ImageScale.objects.visible_to(self.user).select_related("image", "set_by")  # type: ignore[return-value]
