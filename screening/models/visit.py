from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import User
from screening.models.base import CurrentManager, Entry
from screening.models.lesion import Lesion
from screening.models.patient import Patient


class Finding(models.TextChoices):
    """What the doctor said, as the person reports it."""

    HARMLESS = "harmless", "It is harmless"
    WATCH = "watch", "Keep watching it"
    BIOPSY = "biopsy", "A sample was taken"
    REMOVED = "removed", "It was removed"


class DoctorVisitQuerySet(models.QuerySet["DoctorVisit"]):
    def visible_to(self, user: User) -> DoctorVisitQuerySet:
        patients = Patient.objects.visible_to(user)
        return self.filter(lesion__patient__in=patients, lesion__withdrawn_at=None)

    def kept_for(self, user: User) -> DoctorVisitQuerySet:
        """Visits in the user's own record, withdrawn or not. Start from ``everything``."""
        own = Patient.everything.writable_by(user).filter(owner=user)
        return self.filter(lesion__patient__in=own)

    def standing(self) -> DoctorVisitQuerySet:
        """Visits that no later entry corrects."""
        return self.filter(superseded_by=None)

    def settling(self) -> DoctorVisitQuerySet:
        """Visits that settle warnings. On a record that a clinic follows, none does: a person's own
        report removes nothing from the clinic's list. This includes visits entered while the clinic
        followed, after it has left.
        """
        return self.standing().filter(settles=True, lesion__patient__clinic=None)


class DoctorVisit(Entry):
    """A person showed a lesion of their own to a doctor, and reports what they were told."""

    lesion = models.ForeignKey(Lesion, on_delete=models.PROTECT, related_name="visits")
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="recorded_visits"
    )
    visited_on = models.DateField()
    finding = models.CharField(max_length=8, choices=Finding)
    note = models.TextField(blank=True, max_length=4000)
    settles = models.BooleanField(
        db_default=False,
        editable=False,
        help_text="Whether it may settle warnings: no clinic followed the record when it was "
        "entered.",
    )

    objects = CurrentManager.from_queryset(DoctorVisitQuerySet)()
    everything = DoctorVisitQuerySet.as_manager()

    class Meta:
        ordering = ["-visited_on", "-created", "-pk"]
        constraints = [
            *Entry.Meta.constraints,
            models.CheckConstraint(
                condition=Q(finding__in=Finding.values), name="finding_is_known"
            ),
        ]

    @property
    def settles_now(self) -> bool:
        """``settling`` in Python, for a standing visit. Reads ``lesion.patient``."""
        return self.settles and self.lesion.patient.clinic_id is None

    def __str__(self) -> str:
        return f"{self.get_finding_display()}, {self.visited_on}"
