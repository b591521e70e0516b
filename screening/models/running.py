"""What background processes report about themselves, and items to retry after a fault. No medical
data.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from screening.models.base import UUIDModel
from screening.models.image import LesionImage


class Heartbeat(models.Model):
    """When a process last reported that it is alive and responding: a worker by its name, beat, the
    sweeper. What it was doing then: a worker reports also while a task of it hangs.
    """

    name = models.CharField(primary_key=True, max_length=100)
    beat_at = models.DateTimeField(default=timezone.now)
    task = models.CharField(
        max_length=100, blank=True, default="", db_default="", help_text="Empty if it had none."
    )
    task_since = models.DateTimeField(null=True)
    task_limit = models.PositiveIntegerField(
        null=True, help_text="Seconds after which the task is stopped."
    )

    def __str__(self) -> str:
        return self.name

    @property
    def part(self) -> str:
        """The name without the machine."""
        return self.name.partition("@")[0]


class Setback(UUIDModel):
    """An image that could not be measured or compared, and when to try again. Deleted after the
    first success.
    """

    image = models.OneToOneField(LesionImage, on_delete=models.CASCADE, related_name="setback")
    count = models.PositiveSmallIntegerField(default=0)
    rests_until = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.image_id}: {self.count}"
