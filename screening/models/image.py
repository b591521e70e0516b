from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.expressions import NegatedExpression
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import User
from screening.models.base import CurrentManager, Withdrawable
from screening.models.lesion import Lesion
from screening.models.patient import Patient

if TYPE_CHECKING:
    from screening.models.prediction import Prediction
    from screening.models.review import Review


class Modality(models.TextChoices):
    """ISIC's ``image_type``, in short."""

    DERMATOSCOPIC = "dermatoscopic", "Dermatoscopic"
    CLINICAL = "clinical", "Clinical (an ordinary photograph)"


def _file_name(instance: LesionImage, filename: str) -> str:
    """A name that tells nothing of the person: a UUID of its own, in one of 256 folders."""
    name = uuid7().hex
    return f"{name[-2:]}/{name}.{filename.rpartition('.')[2]}"


class LesionImageQuerySet(models.QuerySet["LesionImage"]):
    def visible_to(self, user: User) -> LesionImageQuerySet:
        return self.filter(lesion__patient__in=Patient.objects.visible_to(user))

    def withheld_from(self, user: User) -> LesionImageQuerySet:
        """Images of which ``user`` sees nothing that was found, by a model or a colleague, before
        an own conclusion is recorded. Written here, once: see ``disclosed``."""
        blind = Patient.objects.reviewed_blind_by(user)
        return self.filter(lesion__patient__in=blind).exclude(reviews__reviewer=user)

    def latest_first(self) -> LesionImageQuerySet:
        """By the day of capture, whatever the order of upload."""
        return self.order_by("-captured_on", "-created", "-pk")


def disclosed(user: User, image: str = "image") -> NegatedExpression:
    """Condition on rows that tell what was found in an image, named by ``image``."""
    return ~Exists(LesionImage.objects.withheld_from(user).filter(pk=OuterRef(image)))


class LesionImage(Withdrawable):
    """One picture of one lesion, taken on one day. Its files hold no metadata of the original."""

    lesion = models.ForeignKey(Lesion, on_delete=models.PROTECT, related_name="images")
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="uploaded_images"
    )
    captured_on = models.DateField()
    captured_time = models.TimeField(
        null=True, blank=True, help_text="Where the camera was, as far as it is known."
    )
    placed_at = models.DateTimeField(
        default=timezone.now,
        editable=False,
        help_text="When it took its place among the lesion's images: added, moved, or its day "
        "corrected. What was concluded before that did not take it into account.",
    )
    modality = models.CharField(max_length=13, choices=Modality, default=Modality.DERMATOSCOPIC)
    file = models.FileField(upload_to=_file_name, max_length=120)
    thumbnail = models.FileField(upload_to=_file_name, max_length=120)
    width = models.PositiveIntegerField(help_text="Pixels, after orientation.")
    height = models.PositiveIntegerField(help_text="Pixels, after orientation.")
    sha256 = models.CharField(max_length=64, help_text="Of the file as it was uploaded.")
    camera_model = models.CharField(max_length=120, blank=True)
    is_synthetic = models.BooleanField(default=False, help_text="Drawn by SkinCheck, not skin.")

    objects = CurrentManager.from_queryset(LesionImageQuerySet)()
    everything = LesionImageQuerySet.as_manager()

    class Meta:
        ordering = ["-captured_on", "-created", "-pk"]
        indexes = [
            models.Index(fields=["lesion", "-captured_on", "-created"], name="image_by_capture")
        ]
        constraints = [
            *Withdrawable.Meta.constraints,
            models.UniqueConstraint(
                fields=["lesion", "sha256"],
                condition=Q(withdrawn_at__isnull=True),
                name="same_picture_once_per_lesion",
            ),
            models.CheckConstraint(
                condition=Q(modality__in=Modality.values), name="modality_is_known"
            ),
            models.CheckConstraint(
                condition=Q(width__gt=0) & Q(height__gt=0), name="image_has_pixels"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lesion}, {self.captured_on}"

    @property
    def counting_reading(self) -> Prediction | None:
        """The one reading that counts. No query where predictions are prefetched."""
        readings = self.predictions.all()
        return next((reading for reading in readings if reading.counts), None)

    @property
    def latest_prediction(self) -> Prediction | None:
        """The newest reading, in whatever state. No query where predictions are prefetched."""
        return next(iter(self.predictions.all()), None)

    @property
    def latest_review(self) -> Review | None:
        """The last conclusion that stands. Costs no query where reviews are prefetched."""
        return next(iter(self.standing_reviews), None)

    @property
    def standing_reviews(self) -> list[Review]:
        """Those that no later one supersedes, the newest first."""
        reviews = list(self.reviews.all())
        superseded = {review.supersedes_id for review in reviews}
        return [review for review in reviews if review.pk not in superseded]
