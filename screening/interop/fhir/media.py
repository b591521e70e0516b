"""Media: a picture of a lesion. Its bytes are at ``Binary``, for users who may see it."""

from __future__ import annotations

from django.db.models import QuerySet
from django.db.models.functions import Greatest

from accounts.models import User
from screening.images.delivery import CONTENT_TYPES
from screening.interop.fhir.elements import (
    Json,
    body_site,
    concept,
    identifiers,
    instant,
    reference,
    resource,
)
from screening.models import LesionImage, Modality

MEDIA_TYPE = "http://terminology.hl7.org/CodeSystem/media-type"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
BODY_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/bodySite"
MODALITIES = {
    Modality.DERMATOSCOPIC: ("DMS", "Dermoscopy"),
    Modality.CLINICAL: ("XC", "External-camera Photography"),
}


def rows(user: User) -> QuerySet[LesionImage]:
    return (
        LesionImage.objects.visible_to(user)
        .select_related("lesion")
        .alias(changed_at=Greatest("modified", "lesion__modified"))
        .prefetch_related("identifiers")
    )


def content_type(image: LesionImage) -> str:
    return CONTENT_TYPES[str(image.file.name).rpartition(".")[2]]


def render(image: LesionImage, base: str) -> Json:
    lesion = image.lesion
    of_lesion = {
        "url": BODY_STRUCTURE,
        "valueReference": reference("BodyStructure", lesion.pk, lesion.label),
    }
    return resource(
        "Media",
        image.pk,
        changed=max(image.modified, lesion.modified),
        identifier=identifiers(image),
        status="completed",
        type=concept(MEDIA_TYPE, "image", "Image"),
        modality=concept(DICOM, *MODALITIES[Modality(image.modality)]),
        subject=reference("Patient", lesion.patient_id),
        createdDateTime=image.captured_on.isoformat(),
        issued=instant(image.created),
        bodySite={**(body_site(lesion.body_site) or {}), "extension": [of_lesion]},
        deviceName=image.camera_model,
        height=image.height,
        width=image.width,
        content={
            "contentType": content_type(image),
            "url": f"{base}/Binary/{image.pk}",
            "creation": image.captured_on.isoformat(),
        },
        note=[{"text": "Drawn by SkinCheck, not skin."}] if image.is_synthetic else [],
    )
