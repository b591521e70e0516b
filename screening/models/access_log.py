from django.conf import settings
from django.db import models

from screening.models.base import UUIDModel
from screening.models.image import LesionImage


class AccessLog(UUIDModel):
    """A record of which picture was shown to whom, and when."""

    class Rendition(models.TextChoices):
        IMAGE = "image", "Image"
        SCREEN = "screen", "In the size of a screen"
        THUMBNAIL = "thumbnail", "Thumbnail"
        REPORT = "report", "In a report"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="accesses"
    )
    image = models.ForeignKey(LesionImage, on_delete=models.PROTECT, related_name="accesses")
    rendition = models.CharField(max_length=9, choices=Rendition)

    class Meta:
        ordering = ["-created", "-pk"]

    def __str__(self) -> str:
        return f"{self.user_id} {self.rendition} {self.image_id}"
