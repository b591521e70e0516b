"""Parts of a resource: ``_summary`` and ``_elements``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from screening.errors import SearchError
from screening.interop.fhir.elements import OBSERVATION_VALUE, Json, coding

ALWAYS = ("resourceType", "id", "meta")
SUBSETTED = coding(OBSERVATION_VALUE, "SUBSETTED", "subsetted")

MANDATORY: dict[str, tuple[str, ...]] = {
    "BodyStructure": ("patient",),
    "Media": ("status", "content"),
    "Observation": ("status", "code"),
    "RiskAssessment": ("status", "subject"),
    "DiagnosticReport": ("status", "code"),
    "Provenance": ("target", "recorded", "agent"),
    "DocumentReference": ("status", "content"),
    "CodeSystem": ("status", "content"),
    "ValueSet": ("status",),
    "ConceptMap": ("status",),
}
"""By kind, the elements that R4 requires."""

_DEFINITION = ("url", "version", "name", "experimental", "date")
SUMMARY: dict[str, tuple[str, ...]] = {
    "Patient": (*("identifier", "active", "name", "gender", "birthDate", "managingOrganization"),),
    "BodyStructure": ("identifier", "active", "location", "description"),
    "Media": (
        *("identifier", "type", "modality", "subject", "createdDateTime", "issued"),
        *("bodySite", "deviceName", "height", "width"),
    ),
    "Observation": (
        *("identifier", "subject", "focus", "effectiveDateTime", "issued", "performer"),
        *("valueCodeableConcept", "derivedFrom", "component"),
    ),
    "RiskAssessment": ("identifier", "code", "occurrenceDateTime", "performer"),
    "DiagnosticReport": (
        *("identifier", "category", "subject", "effectiveDateTime", "issued", "performer"),
        "media",
    ),
    "Device": ("status",),
    "DocumentReference": ("docStatus", "type", "date", "description", "context"),
    "CodeSystem": (*_DEFINITION, "caseSensitive", "valueSet", "count"),
    "ValueSet": _DEFINITION,
    "ConceptMap": (*_DEFINITION, "sourceUri"),
}
"""By kind, the elements that R4 counts to the summary, besides the mandatory ones."""

TOLD_WITH_IT = {
    "Observation": ("extension", "dataAbsentReason", "note"),
    "RiskAssessment": ("extension", "note"),
    "DiagnosticReport": ("extension",),
}
"""Not R4's: a summary of a reading keeps the advice, the disclaimer and whether it counts; one of a
report keeps what is not read and what is still to be done.
"""


@dataclass(frozen=True, slots=True)
class Subset:
    """summary: true, text, data or false. elements: the names asked for; none for all."""

    summary: str = "false"
    elements: tuple[str, ...] = ()

    def of(self, found: Json) -> Json:
        """The resource with the elements asked for, and the mandatory ones."""
        kind = found["resourceType"]
        mandatory = MANDATORY.get(kind, ())
        if self.elements:
            return _cut(found, (*mandatory, *self.elements))
        match self.summary:
            case "true":
                kept = (*mandatory, *SUMMARY.get(kind, ()), *TOLD_WITH_IT.get(kind, ()))
                return _cut(found, kept)
            case "text":
                return _cut(found, (*mandatory, "text"))
        return found  # there is no narrative: the data are all of it


SUMMARIES = ("true", "text", "data", "false")


def subset(query: Iterable[tuple[str, list[str]]]) -> Subset:
    """From the query of a read; other parameters have no effect. Raises SearchError."""
    asked = Subset()
    for name, values in query:
        if name == "_summary":
            if values[-1] not in SUMMARIES:
                raise SearchError(f"_summary is one of {', '.join(SUMMARIES)}.", "not-supported")
            asked = Subset(values[-1], asked.elements)
        elif name == "_elements":
            asked = Subset(asked.summary, names(values[-1]))
    return asked


def names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _cut(found: Json, kept: tuple[str, ...]) -> Json:
    cut = {name: part for name, part in found.items() if name in (*ALWAYS, *kept)}
    meta = found.get("meta", {})
    cut["meta"] = meta | {"tag": [*meta.get("tag", []), SUBSETTED]}
    return cut
