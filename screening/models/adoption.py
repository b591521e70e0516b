from __future__ import annotations

from django.db import models
from django.db.models import Q

from screening.models.base import UUIDModel


class AdoptionQuerySet(models.QuerySet["Adoption"]):
    def default(self) -> str:
        """The version that was adopted last; empty if none was."""
        return self.values_list("model_version", flat=True).first() or ""


class Adoption(UUIDModel):
    """A model version that became the default, so that its readings count. The last row applies.
    Rows are never changed.
    """

    number = models.PositiveIntegerField(unique=True, editable=False, help_text="From 1.")
    model_version = models.CharField(max_length=40, editable=False)

    objects = AdoptionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.CheckConstraint(
                condition=Q(number__gte=1) & ~Q(model_version=""), name="adoption_names_a_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.model_version}"
