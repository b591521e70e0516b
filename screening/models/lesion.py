from __future__ import annotations

from django.db import models
from django.db.models import Exists, OuterRef, Q

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.patient import Patient, searchable


class BodySite(models.TextChoices):
    """HAM10000's ``localization``."""

    UNKNOWN = "", "Not stated"
    ABDOMEN = "abdomen", "Abdomen"
    ACRAL = "acral", "Palm, sole or nail fold (acral)"
    BACK = "back", "Back"
    CHEST = "chest", "Chest"
    EAR = "ear", "Ear"
    FACE = "face", "Face"
    FOOT = "foot", "Foot"
    GENITAL = "genital", "Genital area"
    HAND = "hand", "Hand"
    LOWER_EXTREMITY = "lower extremity", "Leg (lower extremity)"
    NECK = "neck", "Neck"
    SCALP = "scalp", "Scalp"
    TRUNK = "trunk", "Trunk, not further specified"
    UPPER_EXTREMITY = "upper extremity", "Arm (upper extremity)"


SYMPTOMS = ("raised", "bleeding", "itching", "changing")
HAS_SYMPTOM = Q(raised=True) | Q(bleeding=True) | Q(itching=True) | Q(changing=True)


class LesionQuerySet(models.QuerySet["Lesion"]):
    def visible_to(self, user: User) -> LesionQuerySet:
        return self.filter(patient__in=Patient.objects.visible_to(user))

    def with_rights(self, user: User) -> LesionQuerySet:
        """Annotate ``may_write`` and ``may_review``."""
        patients = Patient.objects.filter(pk=OuterRef("patient"))
        return self.annotate(
            may_write=Exists(patients.writable_by(user)),
            may_review=Exists(patients.reviewable_by(user)),
        )

    def search(self, text: str) -> LesionQuerySet:
        text = searchable(text)
        return self.filter(
            Q(label__icontains=text) | Q(body_site__icontains=text) | Q(notes__icontains=text)
        )


class Lesion(UUIDModel):
    """One spot on one patient's body."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="lesions")
    label = models.CharField(max_length=80)
    body_site = models.CharField(max_length=16, choices=BodySite, blank=True)
    notes = models.TextField(blank=True, max_length=4000)
    raised = models.BooleanField(default=False, help_text="It stands out from the skin.")
    bleeding = models.BooleanField(default=False, help_text="It bleeds or crusts.")
    itching = models.BooleanField(default=False, help_text="It itches or hurts.")
    changing = models.BooleanField(
        default=False, help_text="It has grown, or changed in shape or colour."
    )

    objects = LesionQuerySet.as_manager()

    class Meta:
        ordering = ["created", "pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(label=""), name="lesion_has_a_label"),
            models.CheckConstraint(
                condition=Q(body_site__in=BodySite.values), name="body_site_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def symptoms(self) -> list[str]:
        """The symptoms that the person marked, in the order of ``SYMPTOMS``."""
        return [name for name in SYMPTOMS if getattr(self, name)]
