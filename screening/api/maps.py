"""Where a prediction found evidence, as a separate resource: predictions stay light."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ml.diagnoses import Diagnosis
from screening.api.fields import ByDiagnosis, GridByDiagnosis
from screening.measurements.contours import outline
from screening.measurements.masks import model_mask
from screening.models import Modality, Outcome, Prediction, PredictionMaps, State

NOT_FINISHED = "This prediction has no maps: it is not finished. Its state says when it is."
FAILED = "This prediction has no maps: its reading failed."
CLINICAL = "This prediction has no maps: a clinical photograph is kept, but not read."
OLDER = "This prediction has no maps: it is older than they are. Have its image read again."


class MapsSerializer(serializers.Serializer[Any]):
    """Where the model located the lesion and the evidence for each diagnosis."""

    prediction = serializers.UUIDField()
    assessable = serializers.BooleanField(
        help_text="False: outside the model's scope, to be shown to no one as a finding."
    )
    mask_url = serializers.URLField()
    mask_width = serializers.IntegerField(help_text="Pixels, as the image was read.")
    mask_height = serializers.IntegerField()
    outline = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2),
        help_text="Border of the mask's largest part without its holes: x, y from the top left "
        "corner, 0 to 1 over the image, clockwise. Empty where no lesion was found.",
    )
    evidence = GridByDiagnosis(help_text="Logits: rows of cells, from the top left corner.")
    evidence_cell = serializers.IntegerField(help_text="Side of a cell, in pixels of the mask.")
    bias = ByDiagnosis(help_text="Logits: with the sum of its cells the `image_logits`.")


def body(maps: PredictionMaps, mask_url: str) -> dict[str, Any]:
    """The data that ``MapsSerializer`` shows. Reads ``maps.prediction``."""
    mask = model_mask(maps)
    height, width = mask.shape
    return {
        "prediction": maps.prediction_id,
        "assessable": maps.prediction.outcome != Outcome.NOT_ASSESSABLE,
        "mask_url": mask_url,
        "mask_width": width,
        "mask_height": height,
        "outline": [(round(x, 5), round(y, 5)) for x, y in outline(mask)],
        "evidence": {
            diagnosis.value: [[cell[number] for cell in row] for row in maps.evidence]
            for number, diagnosis in enumerate(Diagnosis)
        },
        "evidence_cell": maps.evidence_cell,
        "bias": maps.bias,
    }


def why_none(prediction: Prediction) -> str:
    """Why a prediction has no maps. Reads ``prediction.image``."""
    if prediction.is_active:
        return NOT_FINISHED
    if prediction.state == State.FAILED:
        return FAILED
    return CLINICAL if prediction.image.modality == Modality.CLINICAL else OLDER
