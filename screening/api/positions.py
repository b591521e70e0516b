"""Positions of lesions on the body map. A move is a new position; the newest one is current."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers

from screening.api import examples
from screening.api.fields import OrNothing, VisibleField
from screening.api.filters import RecordFilter
from screening.api.serializers import RecordSerializer
from screening.api.viewsets import RecordViewSet
from screening.body_map import regions
from screening.body_map import services as body_map_services
from screening.models import BodySite, Lesion, LesionPosition

ABOUT = (
    "Where a lesion lies on the body map: `view`, and `x`, `y` from the top left corner of that "
    "figure, 0 to 1 over its width and height. Never changed: the newest position of a lesion "
    "stands, the older ones tell where it was."
)
POSITION_IN: dict[str, Any] = {"lesion": examples.LESION["id"], "view": "back", "x": 0.42, "y": 0.3}
_ID = "019ab0d4-03ae-7c19-9d52-8b7f1e6a4c20"
POSITION: dict[str, Any] = {
    "id": _ID,
    "url": f"https://skincheck.example.org/api/v1/positions/{_ID}/",
    "created": "2026-03-12T09:32:20.510284Z",
    **POSITION_IN,
    "patient": examples.PATIENT["id"],
    "region": "upper back",
    "side": "left",
    "body_site": "back",
    "site_code": {
        "value": "244111001",
        "scheme": "SCT",
        "meaning": "Skin of posterior surface of thorax",
    },
    "placed_by": "clinician@north.example.org",
}


class SiteCodeSerializer(OrNothing):
    """A code of DICOM's context group 4029; `SCT` is SNOMED CT."""

    value = serializers.CharField(read_only=True)
    scheme = serializers.CharField(read_only=True)
    meaning = serializers.CharField(read_only=True)

    def get_attribute(self, instance: LesionPosition) -> regions.Code | None:
        region = regions.named(instance.view, instance.region)
        return region.code if region else None


class PositionSerializer(RecordSerializer):
    """A lesion's position on the body map."""

    url = serializers.HyperlinkedIdentityField(view_name="api:position-detail")
    lesion = VisibleField(
        queryset=Lesion.objects.none(),
        visible_to=lambda user: Lesion.objects.visible_to(user).select_related("patient"),
    )
    patient = serializers.UUIDField(source="lesion.patient_id", read_only=True)
    body_site = serializers.SerializerMethodField(
        help_text="What the region is called in HAM10000. The lesion's own may have been corrected."
    )
    site_code = SiteCodeSerializer(help_text="`null` where the group has none.")
    placed_by = serializers.CharField(read_only=True, help_text="Who placed it there.")

    class Meta:
        model = LesionPosition
        fields = [
            "id",
            "url",
            "created",
            "lesion",
            "view",
            "x",
            "y",
            "patient",
            "region",
            "side",
            "body_site",
            "site_code",
            "placed_by",
        ]
        read_only_fields = ["created", "region", "side"]
        validators: list[Any] = []

    def get_body_site(self, position: LesionPosition) -> BodySite:
        region = regions.named(position.view, position.region)
        return region.site if region else BodySite.UNKNOWN

    def create(self, validated_data: dict[str, Any]) -> LesionPosition:
        lesion = validated_data.pop("lesion")
        spot = body_map_services.Spot(**validated_data)
        return body_map_services.place_lesion(user=self.user, lesion=lesion, spot=spot)


class PositionFilter(RecordFilter):
    lesion = filters.UUIDFilter(help_text="Of this lesion: the first one stands.")
    patient = filters.UUIDFilter(field_name="lesion__patient", help_text="Of this patient.")

    class Meta:
        model = LesionPosition
        fields: list[str] = []


_SHOWN = OpenApiExample("position", POSITION, response_only=True, status_codes=["200", "201"])


@extend_schema_view(
    list=extend_schema(
        summary="List positions",
        description=f"{ABOUT} The newest first, of all lesions that you may see.",
        examples=[_SHOWN],
    ),
    retrieve=extend_schema(summary="Look at one position", description=ABOUT, examples=[_SHOWN]),
    create=extend_schema(
        summary="Place a lesion, or move it",
        description=f"{ABOUT} The region, the side and the lesion's body site follow from it; a "
        "body site that someone has named otherwise stays. 400 beside the body.",
        examples=[OpenApiExample("place", POSITION_IN, request_only=True), _SHOWN],
    ),
)
class PositionViewSet(RecordViewSet):
    queryset = LesionPosition.objects.none()
    serializer_class = PositionSerializer
    filterset_class = PositionFilter
    scope_resource = "positions"

    def get_queryset(self) -> QuerySet[LesionPosition]:
        return LesionPosition.objects.visible_to(self.user).select_related("lesion", "placed_by")
