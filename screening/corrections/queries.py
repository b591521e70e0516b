"""Read path of corrections: what was changed in a record, and which record a merged one
leads to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import User
from screening.corrections.merges import successor
from screening.models import (
    Correction,
    CorrectionKind,
    DoctorVisit,
    Histology,
    Lesion,
    LesionImage,
    Patient,
)

SHOWN = 50
"""The number of corrections that a page lists."""
Merged = TypeVar("Merged", Patient, Lesion)


def of_patient(patient: Patient, user: User) -> QuerySet[Correction]:
    """All corrections of the patient, of patients merged into them, and of their lesions; newest
    first.
    """
    patients = with_merged(patient)
    return seen(user).filter(Q(patient__in=patients) | Q(lesion__patient__in=patients))


def of_lesion(lesion: Lesion, user: User) -> QuerySet[Correction]:
    """All corrections of the lesion, of lesions merged into it, and of its current images."""
    return seen(user).filter(Q(lesion__in=with_merged(lesion)) | Q(image__lesion=lesion))


def is_corrected(model: type[Patient | Lesion], user: User) -> Exists:
    """A condition on patients or lesions: ``of_patient`` or ``of_lesion`` is not empty. Pages query
    it with the record, since most have none. A record with indirect merges also has a direct one.
    """
    pk, seen = OuterRef("pk"), Correction.objects.visible_to(user)
    if model is Patient:
        about = Q(patient=pk) | Q(patient__merged_into=pk) | Q(lesion__patient=pk)
    else:
        about = Q(lesion=pk) | Q(lesion__merged_into=pk) | Q(image__lesion=pk)
    return Exists(seen.filter(about))


def with_merged(record: Patient | Lesion) -> set[UUID]:
    """The record and everything merged into it, directly or indirectly."""
    merged = type(record).everything.values_list("pk", flat=True)
    found, last = {record.pk}, {record.pk}
    while last:
        last = set(merged.filter(merged_into__in=last)) - found
        found |= last
    return found


def of_image(image: LesionImage, user: User) -> QuerySet[Correction]:
    return seen(user).filter(image=image)


def of_visit(visit: DoctorVisit, user: User) -> QuerySet[Correction]:
    return seen(user).filter(visit=visit)


def of_histology(histology: Histology, user: User) -> QuerySet[Correction]:
    return seen(user).filter(histology=histology)


def withdrawn_patients(user: User) -> QuerySet[Patient]:
    """Withdrawn patients that ``user`` may restore."""
    withdrawn = Patient.everything.writable_by(user).exclude(withdrawn_at=None)
    return withdrawn.select_related("clinic", "withdrawn_by").order_by("-withdrawn_at", "pk")


def with_last(patients: Iterable[Patient]) -> list[tuple[Patient, Correction | None]]:
    """Each of ``withdrawn_patients`` with the correction that withdrew it."""
    found = list(patients)
    out = (CorrectionKind.WITHDRAWN, CorrectionKind.MERGED)
    rows = Correction.objects.filter(patient__in=found, lesion=None, kind__in=out)
    last = {row.patient_id: row for row in rows.order_by("created", "pk")}
    return [(patient, last.get(patient.pk)) for patient in found]


def leads_to(model: type[Merged], pk: UUID, user: User) -> Merged | None:
    """The record that a merged record's URL leads to, if ``user`` may see it."""
    record = model.everything.filter(pk=pk).exclude(merged_into=None).first()
    found: list[Any] = successor(record) if record is not None else []
    visible = model.objects.visible_to(user).filter(pk__in=[one.pk for one in found])
    return visible.first()


def seen(user: User) -> QuerySet[Correction]:
    """All corrections that ``user`` may see, newest first, with what ``undo.subject`` returns."""
    return (
        Correction.objects.visible_to(user)
        .select_related(
            "made_by",
            "patient",
            "lesion__patient",
            "image__lesion__patient",
            "visit__lesion__patient",
            "histology__lesion__patient",
        )
        .order_by("-created", "-pk")
    )
