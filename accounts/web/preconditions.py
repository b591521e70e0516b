"""Preconditions of all pages: a second factor for users who must have one, and agreement to changed
texts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from accounts import agreements, second_factors

LEAVING = ("erasures/", "privacy/")
"""Routes for users whose account is being erased: to undo it, and the texts."""
OPEN = ("accounts/", "api/", "fhir/", "health/", ".well-known/")
"""Routes that always work: those for adding a factor, and those that authenticate each caller
themselves.
"""

WITHOUT_AGREEMENT = (
    "privacy/",
    "account/export/",
    "exports/",
    "account/erase/",
    "patients/<uuid:pk>/erase/",
    "erasures/",
)
"""Routes for users who do not agree: reading the texts, and exporting or erasing their data."""


class Preconditions:
    """Middleware; runs after authentication and before forms are processed, which were opened when
    nothing was asked for yet.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        route = request.resolver_match.route if request.resolver_match else ""
        if route.startswith(OPEN) or not request.user.is_authenticated:
            return None
        if request.user.erased_from and not route.startswith(LEAVING):
            return redirect("erasures")
        if second_factors.is_lacking(request):
            return redirect("mfa_index")
        if agreements.is_asked_of(request) and not route.startswith(WITHOUT_AGREEMENT):
            return redirect("agree")
        return None
