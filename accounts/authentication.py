"""Authentication of programs, for Django REST framework: ``Authorization: Bearer …``.

``sk_…`` is a person's API key. Anything else is the access token of an application (OAuth 2 client
credentials), which acts as a separate user in the one clinic that registered it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db.models import BooleanField, ExpressionWrapper, QuerySet
from django.utils import timezone
from oauth2_provider.models import AccessToken
from rest_framework.authentication import (
    BaseAuthentication,
    SessionAuthentication,
    get_authorization_header,
)
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts import agreements, second_factors, smart_scopes
from accounts.models import KEY_PREFIX, ApiKey, Application, User, has_withdrawn
from accounts.scopes import available

NO_FACTOR = "This account must have a second factor and has none. Log in to add one."
NO_AGREEMENT = "This account must agree to the terms. Log in on the pages to read them."
LEAVING = "This account is to be erased. Log in to undo it."
_LAST_USED_RESOLUTION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Credential:
    """``request.auth``. caller: identifies the client for limits and retries. scopes: None means
    all.
    """

    caller: str
    scopes: frozenset[str] | None

    @property
    def pk(self) -> str:
        """Of the API key or the application."""
        return self.caller.partition(":")[2]

    def allows(self, scope: str) -> bool:
        """Whether its scopes open FHIR: SMART's do, and the views then check the kind of
        resource.
        """
        if self.scopes is None or scope in self.scopes:
            return True
        return scope == smart_scopes.FHIR and smart_scopes.are_among(self.scopes)

    def fhir_kinds(self, interaction: str) -> frozenset[str] | None:
        """The kinds of FHIR resources to read ("r") or search ("s"); None for all."""
        return None if self.scopes is None else smart_scopes.kinds(self.scopes, interaction)


class BearerAuthentication(BaseAuthentication, ABC):
    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        scheme, _, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self.admit(secret.strip())

    @abstractmethod
    def admit(self, secret: str) -> tuple[User, Credential] | None:
        """Authenticate the secret. None leaves it to the next class. Raises AuthenticationFailed if
        it is invalid.
        """

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="SkinCheck API"'


class ApiKeyAuthentication(BearerAuthentication):
    def admit(self, secret: str) -> tuple[User, Credential] | None:
        if not secret.startswith(KEY_PREFIX):
            return None
        keys = ApiKey.objects.active().select_related("user", "clinic")
        keys = keys.annotate(
            lacks_factor=ExpressionWrapper(second_factors.lacking("user__"), BooleanField()),
            has_withdrawn=ExpressionWrapper(has_withdrawn("user__"), BooleanField()),
        )
        key = keys.filter(secret_sha256=ApiKey.digest(secret), user__is_active=True).first()
        if key is None:
            raise AuthenticationFailed("This API key is unknown, has expired or has been revoked.")
        if key.lacks_factor:
            raise PermissionDenied(NO_FACTOR)
        if key.has_withdrawn:
            raise PermissionDenied(NO_AGREEMENT)
        _note_use(key)
        key.user.bound_clinic = key.clinic
        key.user.uses_unbound_key = key.clinic is None
        scopes = None if key.scopes is None else frozenset(key.scopes)
        return key.user, Credential(f"key:{key.pk}", scopes)


class AccessTokenAuthentication(BearerAuthentication):
    def admit(self, secret: str) -> tuple[User, Credential] | None:
        of = ("application__user", "application__clinic")
        token = _tokens(secret).select_related(*of).first()
        if token is None:
            raise AuthenticationFailed("This access token is unknown, has expired or was revoked.")
        application: Any = token.application
        _note_use(application)
        user = application.user
        user.bound_clinic = application.clinic
        scopes = frozenset(token.scope.split()) & frozenset(available(application))
        return user, Credential(f"application:{application.pk}", scopes)


class PageSession(SessionAuthentication):
    """The session of someone who is logged in on the pages."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        found = super().authenticate(request)
        if found is not None and found[0].erased_from:
            raise PermissionDenied(LEAVING)
        if found is not None and second_factors.is_lacking(request._request):
            raise PermissionDenied(NO_FACTOR)
        if found is not None and agreements.is_asked_of(request._request):
            raise PermissionDenied(NO_AGREEMENT)
        return found


def is_known(authorization: str, session_key: str) -> bool:
    """Whether the header or, without one, the session is somebody's. What they may do is asked when
    the request is handled.
    """
    if not authorization:
        session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
        return SESSION_KEY in session
    secret = authorization.partition(" ")[2].strip()
    if secret.startswith(KEY_PREFIX):
        keys = ApiKey.objects.active().filter(user__is_active=True)
        return keys.filter(secret_sha256=ApiKey.digest(secret)).exists()
    return _tokens(secret).exists()


def _tokens(secret: str) -> QuerySet[AccessToken]:
    digest = hashlib.sha256(secret.encode()).hexdigest()
    valid = AccessToken.objects.filter(token_checksum=digest, expires__gt=timezone.now())
    return valid.filter(application__in=Application.objects.standing())


def _note_use(row: ApiKey | Application) -> None:
    """Note the use, at most once a minute, so that a busy client does not turn every read into a
    write.
    """
    now = timezone.now()
    if row.last_used_at is None or row.last_used_at < now - _LAST_USED_RESOLUTION:
        type(row)._default_manager.filter(pk=row.pk).update(last_used_at=now)
