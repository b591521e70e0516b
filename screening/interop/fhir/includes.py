"""``_include`` and ``_revinclude``: what results refer to, and what refers to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from accounts.models import User
from screening.errors import SearchError
from screening.interop.fhir.elements import Json
from screening.interop.fhir.parameters import Reference
from screening.interop.fhir.resources import KINDS, Listed, Stored

AT_MOST = 1000
"""The maximum number of included resources of a page. More are refused, so that none is missing
unnoticed.
"""

PATHS: dict[str, dict[str, str]] = {
    "BodyStructure": {"patient": "patient"},
    "Media": {"patient": "subject", "subject": "subject"},
    "Observation": {
        "patient": "subject",
        "subject": "subject",
        "focus": "focus",
        "derived-from": "derivedFrom",
        "device": "device",
    },
    "RiskAssessment": {"patient": "subject", "subject": "subject", "performer": "performer"},
    "DiagnosticReport": {
        "patient": "subject",
        "subject": "subject",
        "result": "result",
        "media": "media.link",
    },
    "Provenance": {"target": "target", "agent": "agent.who", "entity": "entity.what"},
    "DocumentReference": {"related": "context.related"},
}
"""By kind and search parameter, where the resource has the references."""


@dataclass(frozen=True, slots=True)
class Include:
    """kind, name: the parameter that refers. target: only to this kind; "" for any.
    is_reverse: include what refers, not what is referred to. iterates: also from what was included.
    """

    kind: str
    name: str
    target: str = ""
    is_reverse: bool = False
    iterates: bool = False


Key = tuple[str, str]


def parse(parameter: str, value: str, kind: str) -> list[Include]:
    """Parse ``_include[:iterate]`` or ``_revinclude[:iterate]`` in a search of ``kind``; empty if
    there is no such reference.
    """
    name, _, modifier = parameter.partition(":")
    is_reverse = name == "_revinclude"
    if modifier not in ("", "iterate"):
        return []
    of, _, rest = value.partition(":")
    by, _, target = rest.partition(":")
    if value == "*":
        of, by = ("*" if is_reverse else kind), "*"
    known = _referring(kind, bool(modifier)) if is_reverse else _referred()
    return [
        Include(one, path, target, is_reverse, bool(modifier))
        for one, path in known
        if of in (one, "*") and by in (path, "*")
    ]


def told(kind: str) -> tuple[list[str], list[str]]:
    """For the CapabilityStatement: what a search of the kind can include, in both directions."""
    forward = [f"{kind}:{name}" for name in PATHS.get(kind, {})]
    return forward, [f"{one}:{name}" for one, name in _referring(kind, False)]


def find(includes: list[Include], matches: list[Json], user: User, base: str) -> list[Json]:
    """What the page includes, each resource once, without the matches. A few queries for each
    parameter, however many rows. Raises SearchError.
    """
    seen = {_key(one) for one in matches}
    found: list[Json] = []
    fresh, wanted = matches, includes
    while fresh and wanted:
        added: dict[Key, Json] = {}
        for key, one in _related(wanted, fresh, user, base):
            if key not in seen:
                added[key] = one
        seen |= added.keys()
        found += added.values()
        if len(found) > AT_MOST:
            raise SearchError(
                f"This page would include more than {AT_MOST} resources. Ask for a smaller _count.",
                "too-costly",
            )
        fresh = list(added.values())
        wanted = [one for one in includes if one.iterates]
    return found


def _related(
    includes: list[Include], rows: list[Json], user: User, base: str
) -> Iterator[tuple[Key, Json]]:
    wanted: dict[str, set[str]] = defaultdict(set)
    for include in includes:
        if include.is_reverse:
            yield from _that_refer(include, rows, user, base)
            continue
        for one in rows:
            if one["resourceType"] == include.kind:
                for kind, pk in _references(one, PATHS[include.kind][include.name].split(".")):
                    if include.target in ("", kind):
                        wanted[kind].add(pk)
    for kind, pks in wanted.items():
        for one in _of_kind(kind, pks, user, base):
            yield _key(one), one


def _of_kind(kind: str, pks: set[str], user: User, base: str) -> Iterator[Json]:
    found = KINDS.get(kind)
    if isinstance(found, Listed):
        yield from (one for one in found.all(user, base) if one["id"] in pks)
    elif isinstance(found, Stored):
        for source in found.sources:
            for row in source.rows(user).filter(pk__in=pks):
                yield source.render(row, base)


def _that_refer(
    include: Include, rows: list[Json], user: User, base: str
) -> Iterator[tuple[Key, Json]]:
    found = KINDS[include.kind]
    if not isinstance(found, Stored):
        return
    for source in found.sources:
        parameter = source.parameters[include.name]
        if not isinstance(parameter, Reference):  # no row of this table refers to any
            continue
        kinds = {include.target} if include.target else set(parameter.kinds)
        pks = [one["id"] for one in rows if one["resourceType"] in kinds & set(parameter.kinds)]
        if not pks:
            continue
        named: Any = {f"{parameter.field}__in": pks}
        for row in source.rows(user).filter(**named).order_by("created", "pk")[: AT_MOST + 1]:
            one = source.render(row, base)
            yield _key(one), one


def _referred() -> list[tuple[str, str]]:
    return [(kind, name) for kind, names in PATHS.items() for name in names]


def _referring(kind: str, to_any: bool) -> list[tuple[str, str]]:
    """The (kind, parameter) pairs that refer to ``kind``, or to anything."""
    return [
        (one, name)
        for one, found in KINDS.items()
        if isinstance(found, Stored)
        for name, parameter in found.parameters.items()
        if isinstance(parameter, Reference) and (to_any or kind in parameter.kinds)
    ]


def _references(value: Any, path: list[str]) -> Iterable[Key]:
    """The (kind, id) of every reference at the path; lists count as their parts."""
    if isinstance(value, list):
        for part in value:
            yield from _references(part, path)
    elif isinstance(value, dict):
        if path:
            yield from _references(value.get(path[0]), path[1:])
        elif kind := value.get("reference", "").rpartition("/")[0]:
            yield kind, value["reference"].rpartition("/")[2]


def _key(one: Json) -> Key:
    return one["resourceType"], one["id"]
