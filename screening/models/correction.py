from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.histology import Histology
from screening.models.image import LesionImage
from screening.models.lesion import Lesion
from screening.models.patient import Patient
from screening.models.visit import DoctorVisit


class CorrectionKind(models.TextChoices):
    EDITED = "edited", "Corrected"
    WITHDRAWN = "withdrawn", "Withdrawn"
    RESTORED = "restored", "Put back"
    MOVED = "moved", "Moved"
    MERGED = "merged", "Merged"
    CLOSED = "closed", "Closed"
    REOPENED = "reopened", "Opened again"


CONCLUDED = (CorrectionKind.CLOSED, CorrectionKind.REOPENED)
"""Kinds that follow from a conclusion or a histology, and so reveal its existence."""


OF = {
    "patients": Q(lesion=None),
    "lesions": Q(lesion__isnull=False, image=None, visit=None, histology=None),
    "images": Q(image__isnull=False),
    "visits": Q(visit__isnull=False),
    "histologies": Q(histology__isnull=False),
}
"""The corrections made directly to a record, by its resource as scopes name it."""


class CorrectionQuerySet(models.QuerySet["Correction"]):
    def visible_to(self, user: User) -> CorrectionQuerySet:
        return self.filter(patient__in=Patient.everything.visible_to(user)).disclosed_to(user)

    def disclosed_to(self, user: User) -> CorrectionQuerySet:
        """Withhold closings, and corrections of histology, by colleagues from users who must
        conclude first.

        They stay withheld even after the user's own conclusion, because pictures can move and
        lesions can merge. By then the conclusion itself is visible.
        """
        blind = Patient.everything.reviewed_blind_by(user)
        reveals = Q(kind__in=CONCLUDED) | Q(histology__isnull=False)
        return self.exclude(reveals, ~Q(made_by=user), patient__in=blind)

    def of(self, resources: Iterable[str]) -> CorrectionQuerySet:
        """Corrections made directly to records of these kinds (keys of ``OF``)."""
        return self.filter(reduce(or_, (OF[resource] for resource in resources)))


class Correction(UUIDModel):
    """A change to a record: by whom, when, why, and the values before. Never edited."""

    kind = models.CharField(max_length=9, choices=CorrectionKind)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="corrections"
    )
    patient = models.ForeignKey(
        Patient,
        on_delete=models.PROTECT,
        related_name="corrections",
        help_text="The patient whose record it was before.",
    )
    lesion = models.ForeignKey(
        Lesion, null=True, on_delete=models.PROTECT, related_name="corrections"
    )
    image = models.ForeignKey(
        LesionImage, null=True, on_delete=models.PROTECT, related_name="corrections"
    )
    visit = models.ForeignKey(
        DoctorVisit, null=True, on_delete=models.PROTECT, related_name="corrections"
    )
    histology = models.ForeignKey(
        Histology, null=True, on_delete=models.PROTECT, related_name="corrections"
    )
    reason = models.CharField(max_length=400, blank=True)
    before = models.JSONField(default=dict, help_text="The fields that changed, as they were.")
    after = models.JSONField(default=dict, help_text="The same fields, as they have been since.")

    objects = CorrectionQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=CorrectionKind.values), name="correction_kind_is_known"
            ),
        ]

    @property
    def resource(self) -> str:
        """The kind of record that was corrected: a key of ``OF``."""
        if self.image_id:
            return "images"
        if self.visit_id or self.histology_id:
            return "visits" if self.visit_id else "histologies"
        return "lesions" if self.lesion_id else "patients"

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.created:%Y-%m-%d}"
