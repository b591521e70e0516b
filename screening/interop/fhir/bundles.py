"""Bundles: a page of a search, and everything of a patient."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from screening.errors import SearchError
from screening.interop.fhir import device
from screening.interop.fhir.elements import Json, instant
from screening.interop.fhir.parameters import split
from screening.interop.fhir.resources import KINDS, Source, Stored
from screening.interop.fhir.search import ELSEWHERE, Asked, Found
from screening.models import Patient

CHUNK = 500


def outcome(severity: str, code: str, text: str) -> Json:
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def searchset(kind: str, asked: Asked, found: Found, base: str) -> Json:
    address = f"{base}/{kind}"
    links = [("self", asked.used)]
    if found.following:
        links.append(("next", [*asked.used, ("_page", found.following)]))
    entries = [_entry(one, base) for one in found.resources]
    entries += [_entry(one, base, "include") for one in found.included]
    bundle = _bundle([*entries, *map(_said, asked.ignored)])
    if found.total is not None:
        bundle["total"] = found.total
    bundle["link"] = [
        {"relation": relation, "url": f"{address}?{urlencode(query)}" if query else address}
        for relation, query in links
    ]
    return bundle


def everything(
    patient: Patient,
    query: Iterable[tuple[str, list[str]]],
    user: User,
    base: str,
    readable: Collection[str] = KINDS.keys(),
    *,
    strict: bool,
) -> Iterator[str]:
    """Everything recorded about a patient, with the models that read it, as JSON in parts: a
    patient may have thousands of images. ``_type``, ``_since`` and the readable kinds filter it.
    Raises SearchError before the first part.
    """
    wanted, since, ignored = _narrowed(query, strict=strict)
    wanted &= set(readable)
    asked_of = []
    for kind, found in KINDS.items():
        if isinstance(found, Stored) and kind in wanted:
            for source in found.sources:
                by = "patient" if "patient" in source.parameters else "_id"
                of_patient = source.parameters[by].q(str(patient.pk), "")
                rows = source.rows(user).filter(of_patient & _since(source, since))
                asked_of.append((source, rows.order_by("created", "pk")))
    entries = (_entry(one, base) for one in _rendered(asked_of, wanted, base))
    said = [_said(text) for text in ignored]
    link = {"relation": "self", "url": f"{base}/Patient/{patient.pk}/$everything"}
    return _streamed(_bundle([]) | {"link": [link]}, entries, said)


def _rendered(asked_of: list[tuple[Source, Any]], wanted: set[str], base: str) -> Iterator[Json]:
    """Some hundred rows at a time, then the models that they refer to."""
    versions: set[str] = set()
    for source, rows in asked_of:
        for row in rows.iterator(chunk_size=CHUNK):
            versions |= {getattr(row, "model_version", "")} - {""}
            yield source.render(row, base)
    for version in sorted(versions):
        if "Device" in wanted:
            yield device.render(version, base)
        if "DocumentReference" in wanted and device.has_card(version):
            yield device.render_card(version, base)


def _streamed(bundle: Json, entries: Iterator[Json], said: list[Json]) -> Iterator[str]:
    yield json.dumps(bundle)[:-1]
    total = 0
    for total, entry in enumerate(entries, 1):
        yield (', "entry": [' if total == 1 else ", ") + json.dumps(entry)
    for number, entry in enumerate(said, total + 1):
        yield (', "entry": [' if number == 1 else ", ") + json.dumps(entry)
    yield (f'{"]" if total or said else ""}, "total": {total}}}')


def _narrowed(
    query: Iterable[tuple[str, list[str]]], *, strict: bool
) -> tuple[set[str], str, list[str]]:
    """The kinds to include, the earliest moment, and what was ignored."""
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


def _entry(resource: Json, base: str, mode: str = "match") -> Json:
    return {
        "fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}",
        "resource": resource,
        "search": {"mode": mode},
    }


def _said(text: str) -> Json:
    """The server's remark on the query."""
    warning = outcome("warning", "not-supported", text)
    return {"resource": warning, "search": {"mode": "outcome"}}


def _bundle(entries: list[Json]) -> Json:
    bundle = {
        "resourceType": "Bundle",
        "meta": {"lastUpdated": instant(timezone.now())},
        "type": "searchset",
    }
    return bundle | ({"entry": entries} if entries else {})
