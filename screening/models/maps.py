from __future__ import annotations

from django.db import models

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.data_key import DataKey
from screening.models.fields import SealedBinaryField
from screening.models.image import LesionImage, disclosed, seen
from screening.models.prediction import Prediction


class PredictionMapsQuerySet(models.QuerySet["PredictionMaps"]):
    def visible_to(self, user: User) -> PredictionMapsQuerySet:
        image = "prediction__image"
        return self.filter(seen(user, image), disclosed(user, image))


class PredictionMaps(UUIDModel):
    """Where in the image a prediction found evidence. Kept in its own table so that prediction
    lists stay light.
    """

    prediction = models.OneToOneField(Prediction, on_delete=models.PROTECT, related_name="maps")
    mask = SealedBinaryField(
        editable=False, help_text="The lesion: PNG, 0 or 255, at the size the image was read at."
    )
    evidence = models.JSONField(
        editable=False, help_text="Logits: rows x columns x diagnoses, a grid over it."
    )
    evidence_cell = models.PositiveSmallIntegerField(
        editable=False, help_text="Side of a grid's cell, in pixels of the mask."
    )
    bias = models.JSONField(
        editable=False, help_text="Logits by diagnosis: with the evidence they sum to image_logits."
    )
    features = SealedBinaryField(
        null=True,
        editable=False,
        help_text="float16: the network's pooled features; empty where a version gives none.",
    )

    objects = PredictionMapsQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "prediction maps"

    def __str__(self) -> str:
        return f"maps of {self.prediction_id}"

    def sealing_key(self) -> DataKey:
        """The image's current key: it may have changed since the image was loaded."""
        images = LesionImage.everything.select_related("data_key", "lesion__patient")
        return images.get(predictions=self.prediction_id).sealing_key()
