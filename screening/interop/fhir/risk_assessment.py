"""RiskAssessment: how likely the lesion is malignant or premalignant, according to a model."""

from __future__ import annotations

from django.db.models import QuerySet

from accounts.models import User
from screening.interop.fhir import observation, terminology
from screening.interop.fhir.elements import AI_ASSERTED, Json, own_identifier, reference, resource
from screening.models import Outcome, Prediction
from screening.predictions.advice import DISCLAIMER, advise


def rows(user: User) -> QuerySet[Prediction]:
    """Readings that assessed the image. Others say nothing about the risk."""
    finished = observation.predictions(user).filter(state="succeeded")
    return finished.exclude(outcome=Outcome.NOT_ASSESSABLE).filter(p_malignant__isnull=False)


def render(prediction: Prediction, base: str) -> Json:
    image = prediction.image
    advice = advise(prediction)
    return resource(
        "RiskAssessment",
        prediction.pk,
        changed=observation.changed(prediction),
        security=[AI_ASSERTED],
        extension=observation.counts(prediction),
        identifier=[own_identifier(prediction.pk)],
        status="preliminary",
        code=terminology.of("observation", "p-malignant"),
        subject=reference("Patient", image.lesion.patient_id),
        occurrenceDateTime=image.captured_on.isoformat(),
        performer=reference("Device", prediction.model_version),
        basis=[
            reference("Observation", prediction.pk),
            reference("Media", image.pk),
            reference("BodyStructure", image.lesion_id),
        ],
        prediction=[
            {
                "outcome": {"text": "Melanoma, basal cell carcinoma, or actinic keratosis / Bowen"},
                # R4 requires a percentage here.
                "probabilityDecimal": round(100 * (prediction.p_malignant or 0.0), 3),
                "rationale": "Calibrated for the mix of cases of the clinics that the model "
                "learned from. Unselected people have far fewer cancers.",
            }
        ],
        mitigation=advice.title if advice else "",
        note=[
            {"text": text}
            for text in (*(() if prediction.counts else (observation.NOT_COUNTING,)), DISCLAIMER)
        ],
    )
