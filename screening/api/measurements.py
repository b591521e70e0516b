"""Measurements of images. Millimetres only if the image has a scale."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_view
from rest_framework import serializers

from screening.api import examples
from screening.api.documentation import reading
from screening.api.fields import OrNothing, WordOrNull, meaning
from screening.api.filters import RecordFilter
from screening.api.viewsets import ReadViewSet
from screening.measurements.millimetres import in_millimetres, scale_of, with_scale
from screening.measurements.presenters import COLOUR_WORDS, colours_present
from screening.measurements.queries import LENGTHS
from screening.models import LesionImage, Measurement

ABOUT = (
    "What was measured in an image, within the model's mask (`prediction`) or an outline that "
    "someone drew (`outline`). The newest of an image stands. Lengths are in pixels of the image "
    "and, only where it has a scale, in millimetres: else `null`."
)
_ID = "019ab0d3-9a17-7d05-8e61-2f7c4b9d1a63"
MEASUREMENT: dict[str, Any] = {
    "id": _ID,
    "url": f"{examples.HOST}/measurements/{_ID}/",
    "created": "2026-03-12T09:31:08.120042Z",
    "image": examples.IMAGE["id"],
    "lesion": examples.LESION["id"],
    "prediction": examples.PREDICTION["id"],
    "outline": None,
    "algorithm_version": "1",
    "failure": None,
    "area_px": 21640.0,
    "area_share": 0.0802,
    "area_mm2": None,
    "longest_diameter_px": 184.2,
    "longest_diameter_mm": None,
    "shortest_diameter_px": 151.7,
    "shortest_diameter_mm": None,
    "perimeter_px": 552.4,
    "perimeter_mm": None,
    "asymmetry_shape": 0.071,
    "asymmetry_colour": 5.3,
    "border_irregularity": 1.12,
    "colour_variegation": 9.8,
    "colours": {
        "white": 0.0,
        "red": 0.01,
        "light_brown": 0.61,
        "dark_brown": 0.3,
        "blue_grey": 0.0,
        "black": 0.0,
    },
    "colours_present": ["light_brown", "dark_brown"],
    "mean_lab": [42.1, 17.3, 21.9],
    "ita_degrees": 38.4,
    "centre": [301.5, 224.0],
    "touches_border": False,
}
_MEASURED = (
    "area_px",
    "area_share",
    *LENGTHS,
    "asymmetry_shape",
    "asymmetry_colour",
    "border_irregularity",
    "colour_variegation",
    "ita_degrees",
)
_HELP = {
    "area_share": "Of the picture.",
    "asymmetry_shape": "0 (folds onto itself) to 1.",
    "asymmetry_colour": "Mean delta E (CIE 1976) of the folded halves.",
    "border_irregularity": "perimeter² / (4 pi area): 1 for a circle.",
    "colour_variegation": "Root mean square delta E from the mean colour.",
    "ita_degrees": "Individual typology angle of the skin around; null if it cannot be told.",
}


class Colours(OrNothing):
    """Share of the lesion that has each dermatoscopic colour."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {code: serializers.FloatField() for code in COLOUR_WORDS}


class Millimetres(serializers.FloatField):
    """The measurement in millimetres, by the scale of its image; ``null`` without one. name: of the
    measure.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(source="*", read_only=True, allow_null=True)

    def __deepcopy__(self, memo: Any) -> Millimetres:
        return Millimetres(self.name)

    def to_representation(self, value: Any) -> float | None:  # type: ignore[override]
        if not value.values:
            return None
        return in_millimetres(value.values, scale_of(value.image))[self.name]


class MeasurementSerializer(serializers.ModelSerializer[Measurement]):
    """The measurements of one image. All are `null` if measuring failed."""

    url = serializers.HyperlinkedIdentityField(view_name="api:measurement-detail")
    lesion = serializers.UUIDField(source="image.lesion_id", read_only=True)
    failure = WordOrNull(help_text=meaning(Measurement, "failure"))
    colours = Colours(source="values.colours")
    colours_present = serializers.SerializerMethodField(
        help_text="Those that make up at least a twentieth."
    )
    mean_lab = serializers.ListField(
        source="values.mean_lab",
        child=serializers.FloatField(),
        read_only=True,
        allow_null=True,
        help_text="The lesion's L*, a*, b* (D65).",
    )
    centre = serializers.ListField(
        source="values.centre",
        child=serializers.FloatField(),
        read_only=True,
        allow_null=True,
        help_text="x, y in pixels of the image.",
    )
    touches_border = serializers.BooleanField(
        source="values.touches_border",
        read_only=True,
        allow_null=True,
        help_text="The lesion is cut off by the picture's edge.",
    )

    class Meta:
        model = Measurement
        fields = [
            "id",
            "url",
            "created",
            "image",
            "lesion",
            "prediction",
            "outline",
            "algorithm_version",
            "failure",
            "area_px",
            "area_share",
            "area_mm2",
            "longest_diameter_px",
            "longest_diameter_mm",
            "shortest_diameter_px",
            "shortest_diameter_mm",
            "perimeter_px",
            "perimeter_mm",
            "asymmetry_shape",
            "asymmetry_colour",
            "border_irregularity",
            "colour_variegation",
            "colours",
            "colours_present",
            "mean_lab",
            "ita_degrees",
            "centre",
            "touches_border",
        ]
        read_only_fields = fields

    def get_fields(self) -> dict[str, Any]:
        for name in _MEASURED:
            self._declared_fields[name] = serializers.FloatField(
                source=f"values.{name}",
                read_only=True,
                allow_null=True,
                help_text=_HELP.get(name, "Pixels of the image."),
            )
        for name in ("area_mm2", *(length.replace("_px", "_mm") for length in LENGTHS)):
            self._declared_fields[name] = Millimetres(name)
        return super().get_fields()

    def get_colours_present(self, measurement: Measurement) -> list[str]:
        return colours_present(measurement.values) if measurement.values else []


class MeasurementFilter(RecordFilter):
    image = filters.UUIDFilter(help_text="In this image: the first one stands.")
    lesion = filters.UUIDFilter(field_name="image__lesion", help_text="In this lesion's images.")

    class Meta:
        model = Measurement
        fields: list[str] = []


@extend_schema_view(**reading("measurement", MEASUREMENT, ABOUT))
class MeasurementViewSet(ReadViewSet):
    scope_resource = "measurements"
    queryset = Measurement.objects.none()
    serializer_class = MeasurementSerializer
    filterset_class = MeasurementFilter

    def get_queryset(self) -> QuerySet[Measurement]:
        visible = Measurement.objects.visible_to(self.user)
        images = with_scale(LesionImage.objects.all())
        return visible.prefetch_related(Prefetch("image", images))
