"""What a key or an application may do: ``<resource>:read`` and ``<resource>:write``.

The resources are the ``scope_resource`` of the views, found through the URLs, so that a new
endpoint is included automatically.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.urls import URLPattern, get_resolver
from oauth2_provider.scopes import BaseScopes

from accounts import smart_scopes

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}


def required(resource: str, method: str) -> str:
    """The scope that ``method`` on ``resource`` needs."""
    return f"{resource}:{'read' if method.upper() in SAFE_METHODS else 'write'}"


def of_view(view: Any, method: str) -> str:
    """The scope that ``method`` needs. A view's ``reading_methods`` need the one for reading."""
    reads = method.upper() in getattr(view, "reading_methods", ())
    return required(view.scope_resource, "GET" if reads else method)


@cache
def known() -> tuple[str, ...]:
    """All scopes, in order."""
    found = set()
    for pattern, view in _views(get_resolver().url_patterns):
        if getattr(view, "scope_resource", ""):
            actions = getattr(pattern.callback, "actions", None)
            methods = actions or [m for m in view.http_method_names if hasattr(view, m)]
            found |= {of_view(view, method) for method in methods}
    return tuple(sorted(found))


@cache
def of_fhir() -> tuple[str, ...]:
    """SMART's scopes for our FHIR endpoint, which is read-only."""
    kinds = {
        kind
        for _, view in _views(get_resolver().url_patterns)
        for kind in getattr(view, "resource_types", ())
    }
    return smart_scopes.of_kinds(sorted(kinds))


def to_read() -> list[str]:
    return [scope for scope in known() if scope.endswith(":read")]


def checked(scopes: Iterable[str]) -> list[str]:
    """The scopes in order, without duplicates. Raises ValidationError for an empty list or an
    unknown scope.
    """
    chosen = set(scopes)
    if not chosen:
        raise ValidationError({"scopes": "Choose at least one thing that it may do."})
    if unknown := chosen - set(known()):
        raise ValidationError({"scopes": f"There is no scope {', '.join(sorted(unknown))}."})
    return sorted(chosen)


class ApplicationScopes(BaseScopes):
    """For django-oauth-toolkit: an application gets the scopes it was registered with, or less."""

    def get_all_scopes(self) -> dict[str, str]:
        return dict.fromkeys(known(), "")

    def get_available_scopes(
        self, application: Any = None, request: Any = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        return available(application) if application else []

    def get_default_scopes(
        self, application: Any = None, request: Any = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        return application.scopes if application else []


def available(application: Any) -> list[str]:
    """What a token of the application may have. SMART's scopes narrow the FHIR scope."""
    scopes: list[str] = application.scopes
    return [*scopes, *of_fhir()] if smart_scopes.FHIR in scopes else scopes


def _views(patterns: list[Any]) -> Iterator[tuple[Any, Any]]:
    """The patterns of the API's views, with the class of each."""
    for pattern in patterns:
        if not isinstance(pattern, URLPattern):
            yield from _views(pattern.url_patterns)
        elif view := getattr(pattern.callback, "cls", None):
            yield pattern, view
