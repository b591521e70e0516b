from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from screening.models.base import UUIDModel
from screening.models.patient import Patient


class Consent(UUIDModel):
    """A person's consent to the use of their record for research. Rows stay: a withdrawn consent
    has its date, and a new consent is a new row.
    """

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="consents")
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="recorded_consents"
    )
    version = models.CharField(
        max_length=12, help_text="Version of the texts that the person was shown."
    )
    withdrawn_at = models.DateTimeField(null=True, editable=False)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="withdrawn_consents",
    )

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["patient"],
                condition=Q(withdrawn_at=None),
                name="one_standing_consent_per_patient",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True, withdrawn_by=None)
                | Q(withdrawn_at__isnull=False, withdrawn_by__isnull=False),
                name="withdrawn_consent_has_a_person",
            ),
        ]

    def __str__(self) -> str:
        return f"Research, {self.created:%Y-%m-%d}"
