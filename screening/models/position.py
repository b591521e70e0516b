from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.lesion import Lesion
from screening.models.patient import Patient


class BodyView(models.TextChoices):
    FRONT = "front", "Front"
    BACK = "back", "Back"


class Side(models.TextChoices):
    """DICOM's laterality, from the person's point of view: their left is on the right of a front
    view.
    """

    LEFT = "left", "Left"
    RIGHT = "right", "Right"
    MIDLINE = "midline", "Midline"


class LesionPositionQuerySet(models.QuerySet["LesionPosition"]):
    def visible_to(self, user: User) -> LesionPositionQuerySet:
        patients = Patient.objects.visible_to(user)
        return self.filter(lesion__withdrawn_at=None, lesion__patient__in=patients)


class LesionPosition(UUIDModel):
    """A lesion's position on the body map. Never edited: a later row supersedes it and records the
    move.
    """

    lesion = models.ForeignKey(Lesion, on_delete=models.PROTECT, related_name="positions")
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="placed_positions"
    )
    view = models.CharField(max_length=5, choices=BodyView)
    x = models.FloatField(help_text="Share of the figure's width, from its left edge.")
    y = models.FloatField(help_text="Share of the figure's height, from its top.")
    region = models.CharField(max_length=40, help_text="The region of the figure it lies in.")
    side = models.CharField(max_length=7, choices=Side)

    objects = LesionPositionQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(view__in=BodyView.values), name="body_view_is_known"
            ),
            models.CheckConstraint(condition=Q(side__in=Side.values), name="side_is_known"),
            models.CheckConstraint(
                condition=Q(x__gte=0, x__lte=1, y__gte=0, y__lte=1),
                name="position_is_on_the_figure",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_view_display()}, {self.region}"
