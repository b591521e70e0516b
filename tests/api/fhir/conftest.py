"""A record with one of everything, and the checks that every FHIR response must pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from typing import Any

import pytest

from ml import reader
from screening.models import Histology, Lesion, LesionPosition, Patient, Prediction, Review
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    ReviewFactory,
    UserFactory,
)

BASE = "/fhir/R4"
JSON = "application/fhir+json"

_OBSERVATION_STATUS = {
    "registered",
    "preliminary",
    "final",
    "amended",
    "corrected",
    "cancelled",
    "entered-in-error",
}
# FHIR R4's required value sets, which fhir.resources does not check.
REQUIRED = {
    "Bundle.type": {"searchset"},
    "Bundle.entry.search.mode": {"match", "include", "outcome"},
    "OperationOutcome.issue.severity": {"fatal", "error", "warning", "information"},
    "OperationOutcome.issue.code": {
        "invalid",
        "value",
        "login",
        "forbidden",
        "not-found",
        "not-supported",
        "too-costly",
        "throttled",
        "exception",
    },
    "Patient.gender": {"male", "female", "other", "unknown"},
    "Patient.identifier.use": {"usual", "official", "temp", "secondary", "old"},
    "Patient.name.use": {"usual", "official", "temp", "nickname", "anonymous", "old", "maiden"},
    "Media.status": {"preparation", "in-progress", "completed"},
    "Observation.status": _OBSERVATION_STATUS,
    "RiskAssessment.status": _OBSERVATION_STATUS,
    "DiagnosticReport.status": {"registered", "partial", "preliminary", "final"},
    "Device.status": {"active", "inactive", "entered-in-error", "unknown"},
    "Device.deviceName.type": {"user-friendly-name", "manufacturer-name", "model-name", "other"},
    "DocumentReference.status": {"current", "superseded", "entered-in-error"},
    "DocumentReference.docStatus": {"preliminary", "final", "amended", "entered-in-error"},
    "Provenance.entity.role": {"derivation", "revision", "quotation", "source", "removal"},
    "CodeSystem.status": {"draft", "active", "retired", "unknown"},
    "CodeSystem.content": {"not-present", "example", "fragment", "complete", "supplement"},
    "ValueSet.status": {"draft", "active", "retired", "unknown"},
    "ConceptMap.status": {"draft", "active", "retired", "unknown"},
    "ConceptMap.group.element.target.equivalence": {
        "equivalent",
        "wider",
        "narrower",
        "inexact",
    },
    "CapabilityStatement.status": {"draft", "active", "retired", "unknown"},
    "CapabilityStatement.kind": {"instance", "capability", "requirements"},
    "CapabilityStatement.fhirVersion": {"4.0.1"},
    "CapabilityStatement.rest.mode": {"client", "server"},
    "CapabilityStatement.rest.resource.interaction.code": {"read", "search-type"},
    "CapabilityStatement.rest.resource.versioning": {"no-version", "versioned"},
    "CapabilityStatement.rest.resource.searchParam.type": {"token", "reference", "date", "uri"},
}


@dataclass(frozen=True)
class Record:
    patient: Patient
    lesion: Lesion
    reviewed: Prediction
    review: Review
    histology: Histology


@pytest.fixture
def record(personas) -> Record:
    """Two lesions; a reading in each state, one by a removed version; a conclusion of each kind;
    histology; a position on the body map.
    """
    lesion = LesionFactory(patient=personas.patient, bleeding=True, notes="Since spring.")
    other = LesionFactory(patient=personas.patient, body_site="acral")
    LesionPosition.objects.create(
        lesion=lesion,
        placed_by=personas.clinician,
        view="back",
        x=0.4,
        y=0.3,
        region="back",
        side="left",
    )
    image = LesionImageFactory(lesion=lesion, captured_on=date(2026, 3, 1), camera_model="Lens 4")
    earlier = LesionImageFactory(lesion=lesion, captured_on=date(2025, 11, 20))
    clinical = LesionImageFactory(lesion=other, modality="clinical", is_synthetic=False)
    reviewed = PredictionFactory(image=image, model_version=reader.DEFAULT_VERSION)
    PredictionFactory(image=earlier, model_version="gone-1")
    PredictionFactory(image=earlier, queued=True)
    PredictionFactory(image=clinical, failed=True)
    PredictionFactory(image=clinical, outcome="not_assessable", reason="clinical_photograph")
    ReviewFactory(image=earlier, conclusion="uncertain", management="refer")
    review = ReviewFactory(image=image, conclusion="mel", management="excise", note="Soon.")
    histology = Histology.objects.create(
        lesion=lesion,
        recorded_by=UserFactory(),
        diagnosis="mel",
        examined_on=date(2026, 3, 20),
        breslow_mm="0.40",
    )
    Histology.objects.create(
        lesion=other,
        recorded_by=UserFactory(),
        diagnosis="other",
        examined_on=date(2026, 3, 20),
        note="A wart.",
    )
    return Record(personas.patient, lesion, reviewed, review, histology)


def resources(bundle: dict[str, Any], kind: str = "") -> list[dict[str, Any]]:
    """The resources found, without the server's remarks on the search."""
    found = [one["resource"] for one in bundle.get("entry", []) if one["search"]["mode"] == "match"]
    return [one for one in found if not kind or one["resourceType"] == kind]


def fetched(client: Any, path: str, **headers: str) -> dict[str, Any]:
    """A successful, validated response."""
    response = client.get(f"{BASE}/{path}", **headers)
    assert response.status_code == 200, path
    assert response["Content-Type"] == JSON
    body: dict[str, Any] = json.loads(response.getvalue())
    check(body)
    return body


def check(body: dict[str, Any]) -> None:
    """Validate against fhir.resources (R4B) and R4's required value sets; nothing may be empty."""
    kind = body["resourceType"]
    model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    model.model_validate(body)
    _check_values(kind, body)
    for entry in body.get("entry", []):
        check(entry["resource"])


def _check_values(path: str, value: Any) -> None:
    if isinstance(value, list):
        assert value, f"{path} is an empty list"
        for part in value:
            _check_values(path, part)
    elif isinstance(value, dict):
        assert value, f"{path} is empty"
        for name, part in value.items():
            if not (path == "Bundle.entry" and name == "resource"):
                _check_values(f"{path}.{name}", part)
    else:
        assert value not in (None, ""), f"{path} is empty"
        assert value in REQUIRED.get(path, {value}), f"{path} is {value}"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for part in value:
            yield from references(part)
    elif isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for part in value.values():
            yield from references(part)
