from __future__ import annotations

from django.db import models
from django.db.models import Q

from screening.models.base import UUIDModel


class Adoption(UUIDModel):
    """A model version that became the default, so that its readings count. The last row applies.
    Rows are never changed.
    """

    number = models.PositiveIntegerField(unique=True, editable=False, help_text="From 1.")
    model_version = models.CharField(max_length=40, editable=False)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.CheckConstraint(
                condition=Q(number__gte=1) & ~Q(model_version=""), name="adoption_names_a_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.model_version}"
