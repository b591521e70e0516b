"""Provenance: which model read which image, with which weights, and where its card is."""

from __future__ import annotations

from django.db.models import QuerySet

from accounts.models import User
from screening.interop.fhir import device, observation
from screening.interop.fhir.elements import AI_ASSERTED, Json, concept, instant, reference, resource
from screening.models import Outcome, Prediction

PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def rows(user: User) -> QuerySet[Prediction]:
    return observation.predictions(user).filter(state="succeeded")


def render(prediction: Prediction, base: str) -> Json:
    version = prediction.model_version
    targets = [reference("Observation", prediction.pk)]
    if prediction.outcome != Outcome.NOT_ASSESSABLE and prediction.p_malignant is not None:
        targets.append(reference("RiskAssessment", prediction.pk))
    weights = {"system": device.weights_system(), "value": prediction.weights_sha256}
    sources: list[Json] = [
        reference("Media", prediction.image_id),
        {"identifier": weights, "display": device.SHA256},
    ]
    if device.has_card(version):
        sources.append(reference("DocumentReference", version, "Model card"))
    return resource(
        "Provenance",
        prediction.pk,
        changed=prediction.modified,
        security=[AI_ASSERTED],
        target=targets,
        occurredPeriod={
            "start": instant(prediction.started_at),
            "end": instant(prediction.finished_at),
        },
        recorded=instant(prediction.finished_at),
        activity={"text": "Reading of an image by a model"},
        agent=[
            {
                "type": concept(PARTICIPANT, "performer", "Performer"),
                "who": reference("Device", version),
            }
        ],
        entity=[{"role": "source", "what": what} for what in sources],
    )
