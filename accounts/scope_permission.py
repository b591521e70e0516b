"""The API's first check, before any object is looked up: whether the caller holds the scope."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import MethodNotAllowed, PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import scopes
from accounts.recent_log_in import is_recent


def may_read(request: Request, *resources: str) -> bool:
    """Whether the caller holds the scopes to read ``resources``. A session holds all scopes."""
    credential: Any = request.auth
    needed = (scopes.required(resource, "GET") for resource in resources)
    return credential is None or all(map(credential.allows, needed))


def require_scope(request: Request, scope: str) -> None:
    """Raise MissingScope unless the caller holds the scope. A session holds all scopes."""
    credential: Any = request.auth
    if credential is not None and not credential.allows(scope):
        raise MissingScope(scope)


class MissingScope(PermissionDenied):
    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__(f"The key or token lacks the scope {scope}.")
        # RFC 6750, section 3.1.
        self.auth_header = (
            f'Bearer realm="SkinCheck API", error="insufficient_scope", scope="{scope}"'
        )


class HasScope(IsAuthenticated):
    """GET needs ``<scope_resource>:read``, everything else ``<scope_resource>:write``, apart from
    the view's ``reading_methods``. What the view does not have is 405, whatever the scopes.

    A session holds all scopes, as does a key created before scopes existed. For the actions or
    methods in the view's ``recent_log_in``, its last log-in must be recent. The person's role is
    checked afterwards, whatever the scopes.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not super().has_permission(request, view):
            return False
        method = request.method or ""
        if method.lower() not in view.http_method_names or not hasattr(view, method.lower()):
            raise MethodNotAllowed(method)
        require_scope(request, scopes.of_view(view, method))
        asks = getattr(view, "recent_log_in", ())
        if getattr(view, "action", method.lower()) in asks:
            _require_recent_log_in(request)
        return True


def _require_recent_log_in(request: Request) -> None:
    """Of a session. A key has a scope instead."""
    if request.auth is None and not is_recent(request._request):
        raise PermissionDenied("Log in again first: your last log-in is too long ago.")
