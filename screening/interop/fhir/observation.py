"""Observation: a model's reading, a clinician's conclusion, a pathologist's finding.

A model's reading stays ``preliminary``. A clinician's conclusion is a separate Observation with
status ``final``, and so is histology. A superseded one is ``amended``. Withdrawn histology is
``entered-in-error``, without its content, so that clients that read it learn that it is void.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest

from accounts.models import User
from ml.diagnoses import Diagnosis
from screening.interop.fhir import terminology
from screening.interop.fhir.elements import (
    AI_ASSERTED,
    UCUM,
    Json,
    absent,
    body_site,
    canonical,
    concept,
    instant,
    own_identifier,
    reference,
    resource,
    share,
)
from screening.models import (
    Conclusion,
    Histology,
    LesionImage,
    Outcome,
    Prediction,
    Review,
    State,
)
from screening.models.histology import HistologyQuerySet
from screening.models.prediction import PredictionQuerySet
from screening.predictions.advice import DISCLAIMER, advise

UNTOLD = ("balanced_probabilities", "image_logits", "context", "context_terms")
COUNTS = "StructureDefinition/reading-counts"
"""Our extension: whether a reading is the one that counts for its image. Others are by another
version, used other details, or were replaced.
"""
NOT_COUNTING = (
    "Another reading of this image counts: what is told of the lesion is not of this one."
)
REPLACES = "http://hl7.org/fhir/StructureDefinition/observation-replaces"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
IN_ERROR = "entered-in-error"
STATUS = {
    State.QUEUED: "registered",
    State.RUNNING: "registered",
    State.SUCCEEDED: "preliminary",
    State.FAILED: "cancelled",
}


def predictions(user: User) -> PredictionQuerySet:
    visible = Prediction.objects.visible_to(user).select_related("image__lesion__patient")
    visible = visible.defer(*UNTOLD)
    return visible.alias(
        changed_at=Greatest(
            "modified",
            "image__modified",
            "image__lesion__modified",
            "image__lesion__patient__modified",
        )
    )


def reviews(user: User) -> QuerySet[Review]:
    """Annotate ``was_superseded``, by a later one, and ``changed_at``: the time of that, or of a
    correction to its image.
    """
    later = Review.objects.filter(supersedes=OuterRef("pk"))
    superseded = Coalesce(Subquery(later.values("created")[:1]), "modified")
    return (
        Review.objects.visible_to(user)
        .select_related("image__lesion", "reviewer")
        .annotate(
            was_superseded=Exists(later),
            changed_at=Greatest(superseded, "image__modified", "image__lesion__modified"),
        )
    )


def histologies(user: User) -> HistologyQuerySet:
    """Like ``reviews``, including withdrawn ones."""
    later = Histology.objects.filter(supersedes=OuterRef("pk"))
    superseded = Coalesce(Subquery(later.values("created")[:1]), "modified")
    return (
        Histology.everything.visible_to(user)
        .select_related("lesion", "recorded_by")
        .annotate(
            was_superseded=Exists(later),
            changed_at=Greatest(superseded, "lesion__modified"),
        )
    )


def render_prediction(prediction: Prediction, base: str) -> Json:
    told = prediction.outcome_told
    assessed = told not in ("", Outcome.NOT_ASSESSABLE)
    return resource(
        "Observation",
        prediction.pk,
        changed=changed(prediction),
        security=[AI_ASSERTED],
        extension=counts(prediction),
        identifier=[own_identifier(prediction.pk)],
        status=STATUS[State(prediction.state)],
        category=[concept(CATEGORY, "imaging", "Imaging")],
        code=terminology.of("observation", "model-reading"),
        **_of_image(prediction.image),
        issued=instant(prediction.finished_at),
        device=reference("Device", prediction.model_version),
        valueCodeableConcept=terminology.of("outcome", told) if assessed else None,
        dataAbsentReason=None if assessed else _why_absent(prediction),
        component=_probabilities(prediction),
        note=_notes(prediction),
    )


def render_review(review: Review, base: str) -> Json:
    return resource(
        "Observation",
        review.pk,
        changed=review.changed_at,  # type: ignore[attr-defined]
        extension=_replaced(review),
        identifier=[own_identifier(review.pk)],
        status="amended" if review.was_superseded else "final",  # type: ignore[attr-defined]
        category=[concept(CATEGORY, "exam", "Exam")],
        code=terminology.of("observation", "clinician-conclusion"),
        **_of_image(review.image),
        issued=instant(review.created),
        performer=[{"type": "Practitioner", "display": str(review.reviewer)}],
        valueCodeableConcept=_conclusion(review.conclusion),
        component=[
            {
                "code": terminology.of("observation", "management"),
                "valueCodeableConcept": terminology.of("management", review.management),
            }
        ],
        note=[{"text": review.note}] if review.note else [],
    )


def render_histology(histology: Histology, base: str) -> Json:
    lesion, holds = histology.lesion, not histology.is_withdrawn
    amended = histology.was_superseded  # type: ignore[attr-defined]
    thickness = {
        "code": terminology.of("observation", "breslow"),
        "valueQuantity": {
            "value": float(histology.breslow_mm or 0),
            "unit": "mm",
            "system": UCUM,
            "code": "mm",
        },
    }
    return resource(
        "Observation",
        histology.pk,
        changed=histology.changed_at,  # type: ignore[attr-defined]
        extension=_replaced(histology),
        identifier=[own_identifier(histology.pk)],
        status=("amended" if amended else "final") if holds else IN_ERROR,
        category=[concept(CATEGORY, "laboratory", "Laboratory")],
        code=terminology.of("observation", "histology"),
        subject=reference("Patient", lesion.patient_id),
        focus=[reference("BodyStructure", lesion.pk, lesion.label)],
        effectiveDateTime=histology.examined_on.isoformat(),
        issued=instant(histology.created),
        performer=[{"type": "Practitioner", "display": str(histology.recorded_by)}],
        valueCodeableConcept=_conclusion(histology.diagnosis) if holds else None,
        bodySite=body_site(lesion.body_site),
        component=[thickness] if histology.breslow_mm and holds else [],
        note=[{"text": histology.note}] if histology.note and holds else [],
    )


def changed(prediction: Prediction) -> datetime:
    """``changed_at`` of the row. It includes symptoms marked later and corrections to the image and
    to the patient's birth year, because all change the outcome.
    """
    image, lesion = prediction.image, prediction.image.lesion
    return max(prediction.modified, image.modified, lesion.modified, lesion.patient.modified)


def _replaced(said: Review | Histology) -> list[Json]:
    if said.supersedes_id is None:
        return []
    earlier = reference("Observation", said.supersedes_id)
    return [{"url": REPLACES, "valueReference": earlier}]


def _of_image(image: LesionImage) -> Json:
    lesion = image.lesion
    return {
        "subject": reference("Patient", lesion.patient_id),
        "focus": [reference("BodyStructure", lesion.pk, lesion.label)],
        "effectiveDateTime": image.captured_on.isoformat(),
        "bodySite": body_site(lesion.body_site),
        "derivedFrom": [reference("Media", image.pk)],
    }


def _conclusion(code: str) -> Json:
    """A concept of ours. A diagnosis outside our list is given in words, with the note."""
    if code in terminology.CLASS_NAMES:
        return terminology.diagnosis(code)
    return {"text": str(Conclusion(code).label)}


def _probabilities(prediction: Prediction) -> list[Json]:
    if prediction.outcome in ("", Outcome.NOT_ASSESSABLE):
        return []
    by_class = [
        {
            "code": terminology.diagnosis(diagnosis),
            "valueQuantity": share(prediction.probabilities[diagnosis]),
        }
        for diagnosis in Diagnosis
    ]
    malignant = {
        "code": terminology.of("observation", "p-malignant"),
        "valueQuantity": share(prediction.p_malignant or 0.0),
    }
    return [malignant, *by_class]


def _why_absent(prediction: Prediction) -> Json:
    if prediction.is_active:
        return absent("temp-unknown", "Temporarily Unknown", "The image has not been read yet.")
    if prediction.state == State.FAILED:
        return absent("error", "Error", prediction.failure)
    advice = advise(prediction)
    text = f"Not assessable: {prediction.reason}"
    return absent("not-performed", "Not Performed", advice.text[0] if advice else text)


def counts(prediction: Prediction) -> list[Json]:
    """Whether a finished reading counts."""
    if prediction.state != State.SUCCEEDED:
        return []
    return [{"url": canonical(COUNTS), "valueBoolean": prediction.counts}]


def _notes(prediction: Prediction) -> list[Json]:
    """The full text to show with the outcome."""
    advice = advise(prediction)
    if advice is None:
        return []
    aside = () if prediction.counts else (NOT_COUNTING,)
    return [{"text": text} for text in (*aside, advice.title, *advice.text, DISCLAIMER)]
