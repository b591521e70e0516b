from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.image import LesionImage, disclosed, seen
from screening.models.prediction import Prediction


class OfImageQuerySet(models.QuerySet[models.Model]):
    """Rows that have an ``image``."""

    def visible_to(self, user: User) -> OfImageQuerySet:
        return self.filter(seen(user))


class MeasurementQuerySet(models.QuerySet["Measurement"]):
    def visible_to(self, user: User) -> MeasurementQuerySet:
        return self.filter(seen(user)).disclosed_to(user)

    def disclosed_to(self, user: User) -> MeasurementQuerySet:
        """Withhold measurements within the model's mask along with its reading. Those within a
        drawn outline are always visible.
        """
        return self.filter(Q(outline__isnull=False) | disclosed(user))


class ImageScale(UUIDModel):
    """The size of an image's pixels. Never edited: a later row supersedes it."""

    class Source(models.TextChoices):
        FIELD_OF_VIEW = "field_of_view", "Field of view entered"
        PIXEL_SPACING = "pixel_spacing", "Pixel spacing of the device"
        RULER = "ruler", "Two points on a ruler"

    image = models.ForeignKey(LesionImage, on_delete=models.PROTECT, related_name="scales")
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="set_scales"
    )
    source = models.CharField(max_length=13, choices=Source)
    mm_per_pixel = models.FloatField(help_text="Millimetres, of the image's own pixels.")

    objects = OfImageQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(mm_per_pixel__gt=0, mm_per_pixel__lte=1),
                name="pixel_has_a_plausible_size",
                violation_error_message="A pixel must be larger than 0 and at most 1 mm.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mm_per_pixel} mm a pixel"


class Outline(UUIDModel):
    """A lesion's outline drawn by a person. Never edited: a later row supersedes it. The model's
    mask stays with its prediction.
    """

    image = models.ForeignKey(LesionImage, on_delete=models.PROTECT, related_name="outlines")
    drawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="drawn_outlines"
    )
    points = models.JSONField(
        help_text="A closed polygon: pairs of shares of the image's width and height."
    )

    objects = OfImageQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]

    def __str__(self) -> str:
        return f"{len(self.points)} points by {self.drawn_by}"


class Measurement(UUIDModel):
    """The result of ``ml.lesion.measure`` for one image, within the model's mask or a drawn
    outline.
    """

    image = models.ForeignKey(LesionImage, on_delete=models.PROTECT, related_name="measurements")
    prediction = models.ForeignKey(
        Prediction,
        null=True,
        on_delete=models.PROTECT,
        related_name="measurements",
        help_text="The reading whose mask was measured.",
    )
    outline = models.ForeignKey(
        Outline, null=True, on_delete=models.PROTECT, related_name="measurements"
    )
    algorithm_version = models.CharField(max_length=20)
    values = models.JSONField(
        default=dict, help_text="By name, in image pixels and shares, never in millimetres."
    )
    failure = models.CharField(
        max_length=200, blank=True, help_text="Why nothing could be measured."
    )

    objects = MeasurementQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(prediction__isnull=False, outline__isnull=True)
                | Q(prediction__isnull=True, outline__isnull=False),
                name="measurement_is_of_a_mask_or_an_outline",
            ),
            models.UniqueConstraint(
                fields=["prediction", "algorithm_version"], name="mask_is_measured_once"
            ),
            models.UniqueConstraint(
                fields=["outline", "algorithm_version"], name="outline_is_measured_once"
            ),
        ]

    def __str__(self) -> str:
        return f"measurement of {self.image_id}"
