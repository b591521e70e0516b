from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import Clinic
from screening.models.base import UUIDModel
from screening.models.image import LesionImage
from screening.models.lesion import Lesion
from screening.models.patient import Patient


class ExternalIdentifier(UUIDModel):
    """Another system's identifier of a record. It belongs to the side that assigned it: the clinic
    or, for a person's own skin, the owner.
    """

    class Kind(models.TextChoices):
        PATIENT = "patient", "Patient"
        LESION = "lesion", "Lesion"
        IMAGE = "image", "Image"

    clinic = models.ForeignKey(
        Clinic, null=True, blank=True, on_delete=models.PROTECT, related_name="identifiers"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="identifiers",
    )
    kind = models.CharField(max_length=7, choices=Kind)
    patient = models.ForeignKey(
        Patient, null=True, blank=True, on_delete=models.CASCADE, related_name="identifiers"
    )
    lesion = models.ForeignKey(
        Lesion, null=True, blank=True, on_delete=models.CASCADE, related_name="identifiers"
    )
    image = models.ForeignKey(
        LesionImage, null=True, blank=True, on_delete=models.CASCADE, related_name="identifiers"
    )
    system = models.CharField(max_length=200, help_text="Who gives such values: mostly a URI.")
    value = models.CharField(max_length=200)

    class Meta:
        ordering = ["system", "value"]
        indexes = [models.Index(fields=["system", "value"], name="identifier_by_value")]
        constraints = [
            models.UniqueConstraint(
                fields=["clinic", "kind", "system", "value"],
                condition=Q(clinic__isnull=False),
                name="identifier_is_unique_in_clinic",
            ),
            models.UniqueConstraint(
                fields=["owner", "kind", "system", "value"],
                condition=Q(owner__isnull=False),
                name="identifier_is_unique_of_owner",
            ),
            models.CheckConstraint(
                condition=Q(clinic__isnull=False, owner__isnull=True)
                | Q(clinic__isnull=True, owner__isnull=False),
                name="identifier_is_of_a_clinic_or_an_owner",
            ),
            models.CheckConstraint(
                condition=Q(kind="patient", patient__isnull=False, lesion=None, image=None)
                | Q(kind="lesion", patient=None, lesion__isnull=False, image=None)
                | Q(kind="image", patient=None, lesion=None, image__isnull=False),
                name="identifier_names_one_record",
            ),
            models.CheckConstraint(
                condition=~Q(system="") & ~Q(value=""), name="identifier_is_whole"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.system}|{self.value}"

    @staticmethod
    def of_patients(patients: Iterable[Any]) -> Q:
        """Identifiers of these patients (by primary key), their lesions and images, from either
        side.
        """
        pks = list(patients)
        return Q(patient__in=pks) | Q(lesion__patient__in=pks) | Q(image__lesion__patient__in=pks)
