from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.image import LesionImage, disclosed
from screening.models.patient import Patient


class Conclusion(models.TextChoices):
    """HAM10000's seven diagnoses, in its order, and two ways to say that it is none of them."""

    AKIEC = "akiec", "Actinic keratosis / Bowen's disease"
    BCC = "bcc", "Basal cell carcinoma"
    BKL = "bkl", "Benign keratosis"
    DF = "df", "Dermatofibroma"
    MEL = "mel", "Melanoma"
    NV = "nv", "Melanocytic nevus (mole)"
    VASC = "vasc", "Vascular lesion"
    OTHER = "other", "Something else (see note)"
    UNCERTAIN = "uncertain", "Uncertain"


class Management(models.TextChoices):
    NONE = "none", "Nothing further"
    MONITOR = "monitor", "Monitor"
    EXCISE = "excise", "Excise or biopsy"
    REFER = "refer", "Refer"


class ReviewQuerySet(models.QuerySet["Review"]):
    def visible_to(self, user: User) -> ReviewQuerySet:
        patients = Patient.objects.visible_to(user)
        return self.filter(image__lesion__patient__in=patients).disclosed_to(user)

    def disclosed_to(self, user: User) -> ReviewQuerySet:
        """A second reader does not see the first one's before an own, where a clinic wants it."""
        return self.filter(disclosed(user))


class Review(UUIDModel):
    """A clinician's own conclusion on an image. Never edited: a later one stands above it."""

    image = models.ForeignKey(LesionImage, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reviews"
    )
    conclusion = models.CharField(max_length=9, choices=Conclusion)
    management = models.CharField(max_length=7, choices=Management)
    note = models.TextField(blank=True, max_length=4000)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(conclusion__in=Conclusion.values), name="conclusion_is_known"
            ),
            models.CheckConstraint(
                condition=Q(management__in=Management.values), name="management_is_known"
            ),
            models.CheckConstraint(
                condition=~Q(conclusion=Conclusion.OTHER) | ~Q(note=""),
                name="other_conclusion_has_a_note",
                violation_error_message="Say in the note what it is.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_conclusion_display()}, {self.reviewer}"
