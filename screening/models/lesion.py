from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from screening.formatting import day
from screening.models.base import CurrentManager, Withdrawable
from screening.models.patient import Patient, rights
from screening.models.visibility import searchable

if TYPE_CHECKING:
    from screening.models.image import LesionImage
    from screening.predictions.outcomes import Standing


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


_NUMBERED = re.compile(r"(?:Lesion|Spot) ([1-9][0-9]{0,5})")


def numbered(patient: Patient, number: int) -> str:
    """The label of a lesion that nobody named."""
    return f"{'Lesion' if patient.clinic_id else 'Spot'} {number}"


def number_of(label: str) -> int:
    """The n of a lesion labelled by ``numbered``; 0 for any other label."""
    found = _NUMBERED.fullmatch(label)
    return int(found[1]) if found else 0


class LesionQuerySet(models.QuerySet["Lesion"]):
    def next_number(self, patient: Patient) -> int:
        """The next free n for ``numbered``. Query ``everything`` so that no earlier number is
        reused.
        """
        labels = self.labels(patient)
        count = self.filter(patient=patient).count()
        return max([count, *map(number_of, labels)]) + 1

    def labels(self, patient: Patient) -> set[str]:
        """The labels of the patient's lesions, including those they had before a correction."""
        came = self.filter(corrections__patient=patient, corrections__kind="edited")
        went = self.filter(corrections__patient=patient, corrections__kind="moved")
        found = (
            self.filter(patient=patient).values_list("label", flat=True),
            came.values_list("corrections__after__label", flat=True),
            went.values_list("corrections__before__label", flat=True),
        )
        return {label for labels in found for label in labels if label}

    def visible_to(self, user: User) -> LesionQuerySet:
        return self.filter(withdrawn_at=None, patient__in=Patient.objects.visible_to(user))

    def kept_for(self, user: User) -> LesionQuerySet:
        """Lesions that ``user`` may correct, withdrawn or not. Start from ``everything``."""
        return self.filter(patient__in=Patient.everything.writable_by(user))

    def with_rights(self, user: User) -> LesionQuerySet:
        """Annotate ``may_write`` and ``may_review``."""
        return self.annotate(**rights(user, "patient"))

    def search(self, text: str) -> LesionQuerySet:
        text = searchable(text)
        return self.filter(
            Q(label__icontains=text) | Q(body_site__icontains=text) | Q(notes__icontains=text)
        )


class Closing(models.TextChoices):
    """Why a lesion is no longer followed."""

    EXCISED = "excised", "Removed"


class Lesion(Withdrawable):
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

    symptoms_at = models.DateTimeField(
        null=True, editable=False, help_text="When a new symptom was last marked."
    )
    closed_on = models.DateField(null=True, editable=False, help_text="The day it was removed.")
    closed_day_is_known = models.BooleanField(
        default=False,
        editable=False,
        help_text="Otherwise it was removed on `closed_on` or before.",
    )
    closed_because = models.CharField(max_length=7, choices=Closing, blank=True, editable=False)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="closed_lesions",
    )
    merged_into = models.ForeignKey(
        "self", null=True, editable=False, on_delete=models.PROTECT, related_name="merged"
    )

    # Only on lesions of the queries named.
    may_write: bool  # with_rights
    may_review: bool
    image_count: int | None  # records.queries.with_latest
    latest_image_id: UUID | None
    latest_image: LesionImage | None  # records.queries.attach_latest_images
    standing: Standing
    position: dict[str, Any] | None  # body_map.queries.with_position
    number: int  # body_map.queries.number

    objects = CurrentManager.from_queryset(LesionQuerySet)()
    everything = LesionQuerySet.as_manager()

    class Meta:
        ordering = ["created", "pk"]
        constraints = [
            *Withdrawable.Meta.constraints,
            models.CheckConstraint(
                condition=Q(closed_on__isnull=True, closed_by=None, closed_because="")
                | Q(
                    closed_on__isnull=False,
                    closed_by__isnull=False,
                    closed_because__in=Closing.values,
                ),
                name="closed_lesion_says_why",
            ),
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

    @property
    def symptoms_now(self) -> list[str]:
        """The marked symptoms, unless the lesion was removed on the day they were marked or
        later.
        """
        since = self.symptoms_at
        if self.closed_on is None or (since and timezone.localdate(since) > self.closed_on):
            return self.symptoms
        return []

    @property
    def symptom_words(self) -> str:
        """The marked symptoms in words; empty without any."""
        if not self.symptoms:
            return ""
        listed = ", ".join(self.symptoms)
        return f"Marked as {listed}" if self.symptoms_now else f"Was marked as {listed}"

    @property
    def closed_words(self) -> str:
        """When the lesion was removed, in words; empty while it is followed."""
        if self.closed_on is None:
            return ""
        on = "on" if self.closed_day_is_known else "by"
        return f"{self.get_closed_because_display()} {on} {day(self.closed_on)}"

    @property
    def is_closed(self) -> bool:
        return self.closed_on is not None
