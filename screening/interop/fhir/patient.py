"""Patient: under a pseudonym, never a name."""

from __future__ import annotations

from accounts.models import User
from screening.interop.fhir.elements import Json, canonical, identifiers, resource
from screening.models import Patient
from screening.models.visibility import PatientQuerySet

GENDERS = {"female": "female", "male": "male", "": "unknown"}


def rows(user: User) -> PatientQuerySet:
    return Patient.objects.visible_to(user).select_related("clinic").prefetch_related("identifiers")


def label_system(patient: Patient) -> str:
    """Labels are unique within a clinic, so each clinic has a system of its own."""
    if patient.clinic_id is None:
        return canonical("identifier/patient-label")
    return canonical(f"identifier/patient-label/{patient.clinic_id}")


def render(patient: Patient, base: str) -> Json:
    return resource(
        "Patient",
        patient.pk,
        changed=patient.modified,
        identifier=[
            *identifiers(patient),
            {"use": "usual", "system": label_system(patient), "value": patient.label},
        ],
        active=True,
        name=[{"use": "anonymous", "text": patient.label}],
        gender=GENDERS[patient.sex],
        birthDate=str(patient.birth_year) if patient.birth_year else None,
        managingOrganization={"display": patient.clinic.name} if patient.clinic else None,
    )
