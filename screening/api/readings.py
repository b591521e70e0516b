"""A reading in lists and in full: with its mask, its evidence and its measurements."""

from __future__ import annotations

import logging
from typing import Any

from rest_framework import serializers
from rest_framework.reverse import reverse

from ml.types import PatientContext
from screening.api.fields import (
    ByDiagnosis,
    ByScope,
    ChoiceOrNull,
    Context,
    ContextTerms,
    OrNothing,
    WordOrNull,
    meaning,
)
from screening.errors import Unreadable
from screening.measurements.contours import outline
from screening.measurements.masks import Mask, model_mask
from screening.measurements.millimetres import in_millimetres, scale_of
from screening.models import Measurement, Outcome, Prediction, PredictionMaps
from screening.predictions.advice import DISCLAIMER, Advice, advise
from screening.predictions.details import context_of, other_details

logger = logging.getLogger(__name__)


class AdviceSerializer(OrNothing):
    """What the person is advised. Show all of it."""

    title = serializers.CharField(help_text="What to do, in a line.")
    text = serializers.ListField(child=serializers.CharField(), help_text="Short paragraphs.")

    def get_attribute(self, instance: Prediction) -> Advice | None:
        return advise(instance)


class DetailsNow(Context):
    def get_attribute(self, instance: Prediction) -> PatientContext:
        return context_of(instance.image)


class PredictionSerializer(serializers.ModelSerializer[Prediction]):
    """One model version's reading of one image. Never changed once finished."""

    url = serializers.HyperlinkedIdentityField(view_name="api:prediction-detail")
    lesion = serializers.UUIDField(source="image.lesion_id", read_only=True)
    outcome = ChoiceOrNull(
        Outcome.choices,
        source="outcome_told",
        help_text="What the person is told. Never `monitor` for a lesion with a symptom.",
    )
    model_outcome = ChoiceOrNull(
        Outcome.choices, source="outcome", help_text="What the picture alone would say."
    )
    counts = serializers.BooleanField(
        read_only=True,
        help_text="Whether it is the one reading of its image that counts: by the default model "
        "version, the newest. Others stand beside it.",
    )
    advice = AdviceSerializer(help_text="To be shown with the outcome, whole.")
    reason = WordOrNull(help_text="Why the picture is `not_assessable`.")
    remarks = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        help_text="What else is wrong with the picture, in the words of `reason`. With "
        "`more_than_one_lesion` the outcome is the most severe of those that were read alone, and "
        "all numbers and maps are those of the spot that decided.",
    )
    probabilities = ByDiagnosis(help_text="For a clinic's mix of cases: calibrated.")
    balanced_probabilities = ByDiagnosis(help_text="As if all diagnoses were equally common.")
    image_logits = ByDiagnosis(help_text="With `context_terms`: the balanced reading's logits.")
    context = Context(  # type: ignore[assignment]
        help_text="What the model was told of the patient."
    )
    details_now = DetailsNow(
        help_text="What it would be told now. Where this differs from `context`, the image is "
        "read again by itself; an age that does not fit the day of capture is not told.",
    )
    read_with_other_details = serializers.SerializerMethodField(
        help_text="True: details were corrected since, see `context` and `details_now`. A new "
        "reading takes its place as soon as it is finished."
    )
    told_until = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When another took its place."
    )
    context_terms = ContextTerms(help_text=meaning(Prediction, "context_terms"))
    weights_sha256 = WordOrNull()
    thresholds_version = WordOrNull()
    failure = WordOrNull(help_text="Why the reading failed.")
    queued_at = serializers.DateTimeField(source="created", read_only=True)
    disclaimer = serializers.CharField(
        default=DISCLAIMER, read_only=True, help_text="To be shown with every outcome."
    )

    class Meta:
        model = Prediction
        fields = [
            "id",
            "url",
            "image",
            "lesion",
            "state",
            "counts",
            "outcome",
            "model_outcome",
            "advice",
            "reason",
            "remarks",
            "p_malignant",
            "probabilities",
            "balanced_probabilities",
            "image_logits",
            "context",
            "details_now",
            "read_with_other_details",
            "told_until",
            "context_terms",
            "in_distribution",
            "model_version",
            "weights_sha256",
            "thresholds_version",
            "duration_ms",
            "queued_at",
            "started_at",
            "finished_at",
            "failure",
            "disclaimer",
        ]
        read_only_fields = ["image", "model_version"]

    def get_read_with_other_details(self, prediction: Prediction) -> bool:
        return bool(other_details(prediction))


class MaskSerializer(OrNothing):
    url = serializers.URLField(help_text="PNG: 255 where the model saw the lesion.")
    width = serializers.IntegerField(help_text="Pixels, as the image was read.")
    height = serializers.IntegerField()
    outline = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2),
        help_text="Polygon around the largest part: x, y from the top left corner, 0 to 1.",
    )

    def get_attribute(self, instance: Prediction) -> dict[str, Any] | None:
        mask = _mask(instance)
        if mask is None:
            return None
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


class PredictionDetailSerializer(ByScope, PredictionSerializer):
    """One model version's reading of one image, in full."""

    elsewhere = {"measures": ("measurements",)}

    mask = MaskSerializer(help_text="Null: there is none, or `maps_unreadable`.")
    maps_url = MapsAddress(help_text="The evidence maps; null: there are none.")
    maps_unreadable = serializers.SerializerMethodField(
        help_text="True: mask and maps are stored, but cannot be opened now. The outcome stands."
    )
    measures = MeasuresSerializer(
        help_text="Null until it was measured, and where it cannot be. Needs `measurements:read`."
    )

    class Meta(PredictionSerializer.Meta):
        fields = [
            *PredictionSerializer.Meta.fields,
            "mask",
            "maps_url",
            "maps_unreadable",
            "measures",
        ]

    def get_maps_unreadable(self, prediction: Prediction) -> bool:
        return _maps(prediction) is not None and _mask(prediction) is None


def _maps(prediction: Prediction) -> PredictionMaps | None:
    """Selected with the prediction, which has at most one row of maps."""
    return getattr(prediction, "maps", None)


def _mask(prediction: Prediction) -> Mask | None:
    """The maps; None if there are none or they cannot be opened."""
    found = _maps(prediction)
    try:
        return model_mask(found) if found is not None else None
    except Unreadable as error:
        logger.warning("prediction %s: its mask cannot be opened: %s", prediction.pk, error)
        return None


def _address(field: Any, name: str, prediction: Prediction) -> str:
    return reverse(name, args=[prediction.pk], request=field.context.get("request"))
