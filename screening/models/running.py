"""What the parts that run say of themselves, and what waits after a fault. No medical history."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from screening.models.base import UUIDModel
from screening.models.image import LesionImage


class Heartbeat(models.Model):
    """When a part said last that it lives and hears: a worker by its name, beat, the sweeper."""

    name = models.CharField(primary_key=True, max_length=100)
    beat_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name

    @property
    def part(self) -> str:
        """Without the machine that it runs on."""
        return self.name.partition("@")[0]


class Setback(UUIDModel):
    """An image that could not be measured or compared: when that is tried again. Gone with the
    first success."""

    image = models.OneToOneField(LesionImage, on_delete=models.CASCADE, related_name="setback")
    count = models.PositiveSmallIntegerField(default=0)
    rests_until = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.image_id}: {self.count}"
