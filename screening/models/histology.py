from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, When

from accounts.models import User
from ml.diagnoses import MALIGNANT, Diagnosis
from screening.models.base import CurrentManager, Entry
from screening.models.image import LesionImage
from screening.models.lesion import Lesion
from screening.models.patient import Patient
from screening.models.review import Conclusion

DIAGNOSES = [choice for choice in Conclusion.choices if choice[0] != Conclusion.UNCERTAIN]


class HistologyQuerySet(models.QuerySet["Histology"]):
    def visible_to(self, user: User) -> HistologyQuerySet:
        patients = Patient.objects.visible_to(user)
        found = self.filter(lesion__patient__in=patients, lesion__withdrawn_at=None)
        return found.disclosed_to(user)

    def kept_for(self, user: User) -> HistologyQuerySet:
        """Histology that ``user`` may correct, withdrawn or not. Start from ``everything``."""
        reviewable = Patient.everything.reviewable_by(user)
        return self.filter(lesion__patient__in=reviewable).disclosed_to(user)

    def disclosed_to(self, user: User) -> HistologyQuerySet:
        """Withhold histology from users who must conclude first, since it would reveal the
        diagnosis.

        They see it once no picture of the lesion awaits their conclusion. Users always see what
        they recorded themselves.
        """
        if not user.reviews_blind:
            return self
        waiting = LesionImage.objects.withheld_from(user).filter(lesion=OuterRef("lesion"))
        return self.filter(Q(recorded_by=user) | ~Exists(waiting))

    def standing(self) -> HistologyQuerySet:
        """Diagnoses that no later entry corrects."""
        return self.filter(superseded_by=None)

    def gravest_first(self) -> HistologyQuerySet:
        """Malignant before benign, then newest first: a benign sample does not revoke a cancer."""
        benign = Case(When(diagnosis__in=MALIGNANT, then=0), default=1)
        return self.order_by(benign, "-created", "-pk")


class Histology(Entry):
    """The pathologist's diagnosis of a lesion: ground truth."""

    lesion = models.ForeignKey(Lesion, on_delete=models.PROTECT, related_name="histologies")
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="recorded_histologies"
    )
    diagnosis = models.CharField(max_length=9, choices=DIAGNOSES)
    examined_on = models.DateField()
    breslow_mm = models.DecimalField(
        max_digits=4,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="Breslow thickness of an invasive melanoma, in millimetres.",
    )
    excised = models.BooleanField(
        null=True, blank=True, help_text="Whether the whole lesion was removed; empty: not stated."
    )
    note = models.TextField(blank=True, max_length=4000)

    objects = CurrentManager.from_queryset(HistologyQuerySet)()
    everything = HistologyQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        verbose_name_plural = "histologies"
        constraints = [
            *Entry.Meta.constraints,
            models.CheckConstraint(
                condition=Q(diagnosis__in=[code for code, _ in DIAGNOSES]),
                name="histology_is_known",
            ),
            models.CheckConstraint(
                condition=Q(breslow_mm__isnull=True) | Q(diagnosis=Diagnosis.MEL),
                name="only_melanoma_has_breslow",
                violation_error_message="Only a melanoma has a Breslow thickness.",
            ),
            models.CheckConstraint(
                condition=Q(breslow_mm__isnull=True) | Q(breslow_mm__gt=0),
                name="breslow_is_positive",
            ),
            models.CheckConstraint(
                condition=~Q(diagnosis=Conclusion.OTHER) | ~Q(note=""),
                name="other_histology_has_a_note",
                violation_error_message="Say in the note what it is.",
            ),
        ]

    def __str__(self) -> str:
        return self.get_diagnosis_display()
