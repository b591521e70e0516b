"""Two images of a lesion, the later aligned to the earlier, and their differences."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from screening import bells
from screening.api import examples
from screening.api.documentation import reading, sent, shown
from screening.api.fields import ByScope, StrictSerializer, VisibleField, WordOrNull, meaning
from screening.api.filters import RecordFilter, YesOrNo
from screening.api.viewsets import ReadViewSet
from screening.comparisons import services as comparison_services
from screening.comparisons.presenters import differences
from screening.models import Comparison, LesionImage
from screening.records import queries as record_queries

ABOUT = (
    "Two images of one lesion. Where the later could be laid over the earlier, `matrix` leads from "
    "its pixels to the earlier one's (a pixel's middle is at whole numbers); else `reason` says "
    "why not, and they are to be shown side by side, as they were taken."
)
RETRY_AFTER = "2"
"""Seconds."""
_ID = "019ab0d3-a1b6-7e91-8c04-5b1d7f9e3a85"
_EARLIER = "019a21b4-7c3d-7e80-9b16-4f5d2a8c6e07"
COMPARISON_IN: dict[str, Any] = {"earlier": _EARLIER, "later": examples.IMAGE["id"]}
COMPARISON: dict[str, Any] = {
    "id": _ID,
    "url": f"{examples.HOST}/comparisons/{_ID}/",
    "created": "2026-03-12T09:31:09.311740Z",
    "lesion": examples.LESION["id"],
    **COMPARISON_IN,
    "algorithm_version": "1",
    "replaced_at": None,
    "aligned": True,
    "matrix": [[0.98, -0.05, 12.4], [0.05, 0.98, -7.9]],
    "score": 0.81,
    "reason": None,
    "differences": [
        {
            "measure": "asymmetry_shape",
            "earlier": 0.05,
            "later": 0.11,
            "unit": "",
            "beyond_repeatability": True,
        }
    ],
}


class DifferenceSerializer(serializers.Serializer[Any]):
    """One measure in both images."""

    measure = serializers.CharField(source="name")
    earlier = serializers.FloatField(source="then")
    later = serializers.FloatField(source="now")
    unit = serializers.CharField(
        help_text="Millimetres where both images have a scale; else pixels of the earlier image, "
        "with both brought to one size; empty for what has none."
    )
    beyond_repeatability = serializers.BooleanField(
        source="beyond",
        allow_null=True,
        help_text="Whether two images of an unchanged lesion mostly differ by less; null: unknown.",
    )


class ComparisonSerializer(ByScope, serializers.ModelSerializer[Comparison]):
    """Two images of one lesion and their differences."""

    elsewhere = {"differences": ("measurements",)}

    url = serializers.HyperlinkedIdentityField(view_name="api:comparison-detail")
    lesion = serializers.UUIDField(source="later.lesion_id", read_only=True)
    matrix = serializers.SerializerMethodField(help_text="`null` where the alignment failed.")
    reason = WordOrNull(help_text=meaning(Comparison, "reason"))
    differences = serializers.SerializerMethodField(
        help_text="Empty where one of the images is not measured, and where an outline was drawn "
        "since: compare them again. Needs `measurements:read`."
    )

    class Meta:
        model = Comparison
        fields = [
            "id",
            "url",
            "created",
            "lesion",
            "earlier",
            "later",
            "algorithm_version",
            "replaced_at",
            "aligned",
            "matrix",
            "score",
            "reason",
            "differences",
        ]
        read_only_fields = fields

    def get_matrix(self, comparison: Comparison) -> list[list[float]] | None:
        return comparison.matrix or None

    def get_differences(self, comparison: Comparison) -> list[dict[str, Any]]:
        return DifferenceSerializer(differences(comparison), many=True).data  # type: ignore[return-value]


class ImagePairSerializer(StrictSerializer):
    """Two images to compare, in either order: they are sorted by day of capture."""

    earlier = VisibleField(
        queryset=LesionImage.objects.none(),
        visible_to=lambda user: LesionImage.objects.visible_to(user).select_related("lesion"),
    )
    later = VisibleField(
        queryset=LesionImage.objects.none(),
        visible_to=lambda user: LesionImage.objects.visible_to(user).select_related("lesion"),
    )


class ComparisonFilter(RecordFilter):
    lesion = filters.UUIDFilter(field_name="later__lesion", help_text="Of this lesion.")
    earlier = filters.UUIDFilter(help_text="With this image as the earlier.")
    later = filters.UUIDFilter(help_text="With this image as the later.")
    aligned = YesOrNo(help_text="`true`: that could be laid on one another.")

    class Meta:
        model = Comparison
        fields: list[str] = []


@extend_schema_view(
    **reading("comparison", COMPARISON, ABOUT),
    create=extend_schema(
        summary="Compare two images",
        description=f"{ABOUT} Answers with the comparison that is there (200). Where there is none "
        "a worker makes it: ask again after `Retry-After` (202).",
        request=ImagePairSerializer,
        responses={
            200: OpenApiResponse(ComparisonSerializer, description="They are compared."),
            202: OpenApiResponse(ImagePairSerializer, description="They are being compared."),
        },
        examples=[
            sent("pair", COMPARISON_IN),
            shown("compared", COMPARISON, 200),
            shown("waiting", COMPARISON_IN, 202),
        ],
    ),
)
class ComparisonViewSet(ReadViewSet):
    scope_resource = "comparisons"
    queryset = Comparison.objects.none()
    serializer_class = ComparisonSerializer
    filterset_class = ComparisonFilter

    def get_queryset(self) -> QuerySet[Comparison]:
        images = record_queries.with_measures(LesionImage.objects.all(), self.user)
        images = images.prefetch_related("outlines")
        return Comparison.objects.visible_to(self.user).prefetch_related(
            Prefetch("earlier", images), Prefetch("later", images)
        )

    def create(self, request: Request) -> Response:
        pair = ImagePairSerializer(data=request.data, context=self.get_serializer_context())
        pair.is_valid(raise_exception=True)
        earlier, later = pair.validated_data["earlier"], pair.validated_data["later"]
        comparison_services.require_pair(earlier, later)
        known = comparison_services.known(earlier, later)
        if known is None:
            bells.after_commit(bells.compare, earlier, later)
            earlier, later = comparison_services.in_order(earlier, later)
            return Response(
                {"earlier": earlier.pk, "later": later.pk},
                status=status.HTTP_202_ACCEPTED,
                headers={"Retry-After": RETRY_AFTER},
            )
        return Response(self.get_serializer(self.get_queryset().get(pk=known.pk)).data)
