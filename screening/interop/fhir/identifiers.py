"""Search by identifier: our own, another system's, or a patient's label."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db.models import Q

from screening.interop.fhir.elements import canonical
from screening.interop.fhir.parameters import ALL, NOTHING, Identity
from screening.models import ExternalIdentifier


def by_uuid(system: str | None, value: str) -> Q:
    """``urn:ietf:rfc:3986|urn:uuid:…``, the identifier of every row."""
    if system == "urn:ietf:rfc:3986" and not value:
        return ALL
    if system not in (None, "urn:ietf:rfc:3986") or not value.startswith("urn:uuid:"):
        return NOTHING
    return Identity().q(value.removeprefix("urn:uuid:"), "")


def by_identifier(kind: str) -> Callable[[str | None, str], Q]:
    """Our identifier, or another system's. kind: of ``ExternalIdentifier``."""

    def matches(system: str | None, value: str) -> Q:
        named = ExternalIdentifier.objects.filter(kind=kind)
        if value or system is None:
            named = named.filter(value=value)
        if system is not None:
            named = named.filter(system=system)
        return by_uuid(system, value) | Q(pk__in=named.values(kind))

    return matches


def by_label(system: str | None, value: str) -> Q:
    """A patient's label, within a clinic if the system names one."""
    prefix = canonical("identifier/patient-label")
    if system is None:
        return Q(label=value)
    labelled = Q(label=value) if value else ALL
    if system == prefix:
        return Q(clinic=None) & labelled
    try:
        return Q(clinic=UUID(system.removeprefix(f"{prefix}/"))) & labelled
    except ValueError:
        return NOTHING
