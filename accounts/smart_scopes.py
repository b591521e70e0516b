"""SMART's scopes for systems (``system/Patient.rs``), which narrow our ``fhir:read`` to kinds of
resources. https:

hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable

FHIR = "fhir:read"
READ, SEARCH = "r", "s"
EVERY_KIND = "*"
_SCOPE = re.compile(r"system/(\*|\w+)\.(rs|r|s|read)")


def of_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """All scopes that can be requested. ``read`` is version 1's word for ``rs``."""
    return tuple(
        f"system/{kind}.{interactions}"
        for kind in (EVERY_KIND, *kinds)
        for interactions in ("rs", "r", "s", "read")
    )


def kinds(scopes: Iterable[str], interaction: str) -> frozenset[str] | None:
    """The kinds of resources that the scopes let a caller read or search; None for all."""
    found = set()
    for scope in scopes:
        if scope == FHIR:
            return None
        if (match := _SCOPE.fullmatch(scope)) and interaction in match[2].replace("read", "rs"):
            found.add(match[1])
    return None if EVERY_KIND in found else frozenset(found)


def are_among(scopes: Iterable[str]) -> bool:
    return any(_SCOPE.fullmatch(scope) for scope in scopes)
