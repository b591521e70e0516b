"""One prediction whole: with its mask, the way to its evidence, and what was measured in it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.reverse import reverse

from screening.api.fields import OrNothing
from screening.api.serializers import PredictionSerializer
from screening.measuring import in_millimetres, model_mask, scale_of
from screening.models import Measurement, Prediction, PredictionMaps
from screening.outline import outline


class MaskSerializer(OrNothing):
    url = serializers.URLField(help_text="PNG: 255 where the model saw the lesion.")
    width = serializers.IntegerField(help_text="Pixels, as the image was read.")
    height = serializers.IntegerField()
    outline = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2),
        help_text="Polygon around the largest part: x, y from the top left corner, 0 to 1.",
    )

    def get_attribute(self, instance: Prediction) -> dict[str, Any] | None:
        found = _maps(instance)
        if found is None:
            return None
        mask = model_mask(found)
        height, width = mask.shape
        return {
            "url": _address(self, "api:prediction-mask", instance),
            "width": width,
            "height": height,
            "outline": [[round(x, 5), round(y, 5)] for x, y in outline(mask)],
        }


class MapsAddress(serializers.URLField):
    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **options)

    def get_attribute(self, instance: Prediction) -> str | None:
        return _address(self, "api:prediction-maps", instance) if _maps(instance) else None


class MeasuresSerializer(OrNothing):
    """Within the mask. In millimetres only where the image has a scale."""

    algorithm_version = serializers.CharField()
    area_share = serializers.FloatField(help_text="Of the picture.")
    area_px = serializers.FloatField(help_text="Pixels of the image.")
    longest_diameter_px = serializers.FloatField()
    shortest_diameter_px = serializers.FloatField()
    perimeter_px = serializers.FloatField()
    area_mm2 = serializers.FloatField(allow_null=True)
    longest_diameter_mm = serializers.FloatField(allow_null=True)
    shortest_diameter_mm = serializers.FloatField(allow_null=True)
    perimeter_mm = serializers.FloatField(allow_null=True)
    asymmetry_shape = serializers.FloatField(help_text="0: folds onto itself, to 1.")
    asymmetry_colour = serializers.FloatField(help_text="Delta E (CIE 1976).")
    border_irregularity = serializers.FloatField(help_text="1 for a circle.")
    colour_variegation = serializers.FloatField(help_text="Delta E (CIE 1976).")
    colours = serializers.DictField(
        child=serializers.FloatField(), help_text="Share of each dermatoscopic colour."
    )
    touches_border = serializers.BooleanField(help_text="The lesion is cut off by the frame.")

    def get_attribute(self, instance: Prediction) -> dict[str, Any] | None:
        found = Measurement.objects.filter(prediction=instance, failure="").first()
        if found is None:
            return None
        values = {"algorithm_version": found.algorithm_version, **found.values}
        return values | in_millimetres(found.values, scale_of(instance.image))


class PredictionDetailSerializer(PredictionSerializer):
    """One model version's reading of one image, whole."""

    mask = MaskSerializer()
    maps_url = MapsAddress(help_text="The evidence maps; null: there are none.")
    measures = MeasuresSerializer(help_text="Null until it was measured, and where it cannot be.")

    class Meta(PredictionSerializer.Meta):
        fields = [*PredictionSerializer.Meta.fields, "mask", "maps_url", "measures"]


def _maps(prediction: Prediction) -> PredictionMaps | None:
    """Selected with the prediction, which has either one row of them or none."""
    return getattr(prediction, "maps", None)


def _address(field: Any, name: str, prediction: Prediction) -> str:
    return reverse(name, args=[prediction.pk], request=field.context.get("request"))
