from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q

from accounts.models import Clinic, User
from screening.models.base import CurrentManager, Withdrawable
from screening.models.visibility import PatientQuerySet


class Sex(models.TextChoices):
    FEMALE = "female", "Female"
    MALE = "male", "Male"
    UNKNOWN = "", "Not stated"


class SkinType(models.TextChoices):
    """Fitzpatrick's phototypes. Arch. Dermatol. 124 (1988) 869-871."""

    UNKNOWN = "", "Not stated"
    I = "I", "I: always burns, never tans"  # noqa: E741  the scale is written in Roman numerals
    II = "II", "II: usually burns, tans a little"
    III = "III", "III: sometimes burns, tans gradually"
    IV = "IV", "IV: rarely burns, tans well"
    V = "V", "V: very rarely burns, brown skin"
    VI = "VI", "VI: never burns, dark brown or black skin"


class Patient(Withdrawable):
    """The person whose skin it is: a clinic's patient, someone who tracks themselves, or both."""

    clinic = models.ForeignKey(
        Clinic, null=True, blank=True, on_delete=models.PROTECT, related_name="patients"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="patients",
    )
    label = models.CharField(max_length=80, help_text="A pseudonym or number, not a name.")
    birth_year = models.PositiveSmallIntegerField(null=True, blank=True)
    sex = models.CharField(max_length=6, choices=Sex, blank=True)
    skin_type = models.CharField(max_length=3, choices=SkinType, blank=True)

    erased_from = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Scheduled time of erasure. Nobody sees the record until then.",
    )
    merged_into = models.ForeignKey(
        "self", null=True, editable=False, on_delete=models.PROTECT, related_name="merged"
    )

    objects = CurrentManager.from_queryset(PatientQuerySet)()
    everything = PatientQuerySet.as_manager()

    class Meta:
        ordering = ["label", "pk"]
        constraints = [
            *Withdrawable.Meta.constraints,
            models.CheckConstraint(
                condition=Q(clinic__isnull=False) | Q(owner__isnull=False),
                name="patient_has_clinic_or_owner",
            ),
            models.UniqueConstraint(
                fields=["clinic", "label"],
                condition=Q(clinic__isnull=False, withdrawn_at__isnull=True),
                name="patient_label_is_unique_in_clinic",
                violation_error_message="Another record of this clinic has this name.",
            ),
            models.CheckConstraint(
                condition=Q(birth_year__isnull=True)
                | Q(birth_year__gte=1900, birth_year__lte=2100),
                name="birth_year_is_plausible",
                violation_error_message="Give the birth year with four digits, from 1900 on.",
            ),
            models.CheckConstraint(condition=~Q(label=""), name="patient_has_a_label"),
            models.CheckConstraint(
                condition=Q(erased_from=None) | Q(withdrawn_at__isnull=False),
                name="patient_to_be_erased_is_withdrawn",
            ),
            models.CheckConstraint(condition=Q(sex__in=Sex.values), name="sex_is_known_value"),
        ]

    def __str__(self) -> str:
        return self.label


def rights(user: User, patient: str) -> dict[str, Exists]:
    """``may_write`` and ``may_review``, to annotate rows whose patient is at ``patient``."""
    patients = Patient.objects.filter(pk=OuterRef(patient))
    return {
        "may_write": Exists(patients.writable_by(user)),
        "may_review": Exists(patients.reviewable_by(user)),
    }
