"""Bundles: a page of a search, and everything of a patient."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from screening.exchange.fhir import device
from screening.exchange.fhir.elements import Json, instant
from screening.exchange.fhir.parameters import SearchError, split
from screening.exchange.fhir.resources import KINDS, Source, Stored
from screening.exchange.fhir.search import ELSEWHERE, Asked, Found
from screening.models import Patient


def outcome(severity: str, code: str, text: str) -> Json:
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def searchset(kind: str, asked: Asked, found: Found, base: str) -> Json:
    address = f"{base}/{kind}"
    links = [("self", asked.used)]
    if found.following:
        links.append(("next", [*asked.used, ("_page", found.following)]))
    entries = [_entry(one, base) for one in found.resources]
    entries += [
        {"resource": outcome("warning", "not-supported", text), "search": {"mode": "outcome"}}
        for text in asked.ignored
    ]
    bundle = _bundle(entries)
    if found.total is not None:
        bundle["total"] = found.total
    bundle["link"] = [
        {"relation": relation, "url": f"{address}?{urlencode(query)}" if query else address}
        for relation, query in links
    ]
    return bundle


def everything(
    patient: Patient, query: Iterable[tuple[str, list[str]]], user: User, base: str, *, strict: bool
) -> Json:
    """All that there is of a patient, and the models that read it. ``_type`` and ``_since`` narrow
    it. As many queries for two images as for two thousand."""
    wanted, since, ignored = _narrowed(query, strict=strict)
    of_patient = Q()
    resources: list[Json] = []
    versions: set[str] = set()
    for kind, found in KINDS.items():
        if not isinstance(found, Stored) or kind not in wanted:
            continue
        for source in found.sources:
            by = "patient" if "patient" in source.parameters else "_id"
            of_patient = source.parameters[by].q(str(patient.pk), "")
            rows = source.rows(user).filter(of_patient & _since(source, since))
            for row in rows.order_by("created", "pk"):
                versions |= {getattr(row, "model_version", "")} - {""}
                resources.append(source.render(row, base))
    for version in sorted(versions):
        if "Device" in wanted:
            resources.append(device.render(version, base))
        if "DocumentReference" in wanted and device.has_card(version):
            resources.append(device.render_card(version, base))
    entries = [_entry(one, base) for one in resources]
    entries += [
        {"resource": outcome("warning", "not-supported", text), "search": {"mode": "outcome"}}
        for text in ignored
    ]
    link = {"relation": "self", "url": f"{base}/Patient/{patient.pk}/$everything"}
    return _bundle(entries) | {"total": len(resources), "link": [link]}


def _narrowed(
    query: Iterable[tuple[str, list[str]]], *, strict: bool
) -> tuple[set[str], str, list[str]]:
    """The kinds that are wanted, the moment since when, and what was ignored."""
    wanted, since, ignored = set(KINDS), "", []
    for name, values in query:
        if name == "_type":
            wanted = {kind for value in values for kind in split(value)}
            if unknown := wanted - set(KINDS):
                raise SearchError(f"There is no {', '.join(sorted(unknown))} here.")
        elif name == "_since":
            since = values[-1]
        elif name not in ELSEWHERE:
            text = f"$everything has no parameter {name}."
            if strict:
                raise SearchError(text, "not-supported")
            ignored.append(text)
    return wanted, since, ignored


def _since(source: Source, moment: str) -> Q:
    if not moment:
        return Q()
    if not moment[:1].isdigit():
        raise SearchError("_since is a moment, without a prefix.")
    return source.parameters["_lastUpdated"].q(f"ge{moment}", "")


def _entry(resource: Json, base: str) -> Json:
    return {
        "fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}",
        "resource": resource,
        "search": {"mode": "match"},
    }


def _bundle(entries: list[Json]) -> Json:
    bundle = {
        "resourceType": "Bundle",
        "meta": {"lastUpdated": instant(timezone.now())},
        "type": "searchset",
    }
    return bundle | ({"entry": entries} if entries else {})
