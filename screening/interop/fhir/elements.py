"""Building blocks of FHIR resources: references, codings, times, and our own names.

FHIR R4 (4.0.1), JSON. All our names begin with the site's own address.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from screening.interop.codes import BODY_SITES, SNOMED, Code
from screening.models import BodySite, ExternalIdentifier, Lesion, LesionImage, Patient

UCUM = "http://unitsofmeasure.org"
DATA_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"

Json = dict[str, Any]

AI_ASSERTED: Json = {
    "system": OBSERVATION_VALUE,
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}
"""The label of a model's results that no person has confirmed."""


def canonical(path: str) -> str:
    """The canonical URL of one of our definitions, the same whichever address the client used."""
    return f"{settings.CANONICAL_URL}/fhir/R4/{path}"


def resource(
    kind: str, pk: UUID | str, /, *, changed: datetime | None = None, **fields: Any
) -> Json:
    """Build a resource without empty elements: FHIR has no null and no empty list."""
    security = fields.pop("security", None)
    meta = {"lastUpdated": instant(changed), "security": security}
    found: Json = _pruned({"resourceType": kind, "id": str(pk), "meta": meta, **fields})
    return found


def own_identifier(pk: UUID) -> Json:
    return {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{pk}"}


def identifiers(record: Patient | Lesion | LesionImage) -> list[Json]:
    """Our own identifier and those of other systems. Needs no query where they are prefetched."""
    return [own_identifier(record.pk), *(_external(one) for one in record.identifiers.all())]


def _external(one: ExternalIdentifier) -> Json:
    """FHIR's system is a URI; any other name becomes the assigner."""
    if " " in one.system:
        return {"value": one.value, "assigner": {"display": one.system}}
    return {"system": one.system, "value": one.value}


def reference(kind: str, pk: UUID | str, display: str = "") -> Json:
    return {"reference": f"{kind}/{pk}", "display": display}


def instant(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def coding(system: str, code: str, display: str = "") -> Json:
    return {"system": system, "code": code, "display": display}


def concept(system: str, code: str, display: str, text: str = "") -> Json:
    return {"coding": [coding(system, code, display)], "text": text or display}


def snomed(code: Code) -> Json:
    return coding(SNOMED, code.value, code.meaning)


def body_site(site: str) -> Json | None:
    """The location in SNOMED CT if it has a code, and always in HAM10000's term; None if
    unknown.
    """
    if not site:
        return None
    code = BODY_SITES.get(site)
    label = str(BodySite(site).label)
    return {"coding": [snomed(code)] if code else [], "text": label}


def share(value: float) -> Json:
    """A probability, 0 to 1."""
    return {"value": round(value, 5), "system": UCUM, "code": "1"}


def absent(code: str, display: str, text: str) -> Json:
    return concept(DATA_ABSENT, code, display, text)


def _pruned(value: Any) -> Any:
    """Drop None, empty text and empty parts at any depth; keep 0 and False."""
    if isinstance(value, dict):
        kept = {name: _pruned(part) for name, part in value.items()}
        return {name: part for name, part in kept.items() if part or part in (0, False)}
    if isinstance(value, list):
        return [part for part in map(_pruned, value) if part or part in (0, False)]
    return value
