"""Applications that sign in with their own key (``private_key_jwt``: RFC 7523, OpenID Connect Core
9), as SMART Backend Services requires: RS384 or ES384, at most five minutes, each assertion once.
"""

from __future__ import annotations

import hashlib
import re
import time
from datetime import UTC, datetime
from typing import Any

import jwt
from django.core.cache import cache
from django.db import IntegrityError, transaction
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2.rfc6749.errors import InvalidClientError, InvalidScopeError

from accounts import discovery, public_keys
from accounts.models import Application, UsedAssertion
from screening.errors import AssertionRefused, NotSent
from screening.webhooks import http

NOT_SIGNED_IN = (
    "No application has this client_id and client_secret. Send both as fields of the form or by "
    "HTTP Basic, or sign in with a client_assertion."
)
NOT_ITS_SCOPES = (
    "The application was not registered with all of these scopes. Without scope it gets all that "
    "it has."
)
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LARGEST = 8 * 1024
"""The maximum number of characters of an assertion."""
MOST_SECONDS = 300
SKEW_SECONDS = 10
"""Tolerance between the clocks, in seconds."""
KEPT_SECONDS, MOST_KEPT_SECONDS = 300, 3600
"""How long a fetched key set is used by default, and at most."""
FETCH_SECONDS = 5.0
ASKED_AGAIN_AFTER = 10
"""Minimum seconds between two requests to one URL: assertions by others must not flood it."""
_MAX_AGE = re.compile(r"\bmax-age=(\d{1,9})\b")
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


class Validator(OAuth2Validator):
    """django-oauth-toolkit's validator, which knows secrets, extended by assertions."""

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        sent = request.decoded_body or []
        fields = dict(sent)
        if not {"client_assertion", "client_assertion_type"} & {name for name, _ in sent}:
            if not super().authenticate_client(request, *args, **kwargs):
                raise InvalidClientError(NOT_SIGNED_IN, request=request)
            return True
        try:
            if len(fields) != len(sent) or "client_secret" in fields or _has_header(request):
                raise AssertionRefused("Sign in once, in one way.")
            application = application_of(
                fields.get("client_assertion_type", ""),
                fields.get("client_assertion", ""),
                fields.get("client_id", ""),
            )
        except AssertionRefused as error:
            raise InvalidClientError(str(error), request=request) from None
        request.client, request.client_id = application, application.client_id
        return True

    def validate_scopes(self, client_id: str, scopes: Any, client: Any, request: Any) -> bool:
        if not super().validate_scopes(client_id, scopes, client, request):
            raise InvalidScopeError(NOT_ITS_SCOPES, request=request)
        return True


def application_of(kind: str, assertion: str, client_id: str = "") -> Application:
    """The application that signed the assertion, which is then used up. Raises AssertionRefused."""
    if kind != TYPE:
        raise AssertionRefused("The type of the assertion is not supported.")
    if len(assertion) > LARGEST:
        raise AssertionRefused("The assertion is too long.")
    try:
        header: dict[str, Any] = jwt.get_unverified_header(assertion)
        named = jwt.decode(assertion, options={"verify_signature": False}).get("iss")
    except _UNREADABLE:
        raise AssertionRefused("The assertion is no signed JWT.") from None
    application = _application(named)
    if application is None or client_id not in ("", application.client_id):
        raise AssertionRefused("No application of this name signs in with keys.")
    key = _key(application, header)
    try:
        claims = jwt.decode(
            assertion,
            public_keys.public_key(key),
            algorithms=[public_keys.ALGORITHMS[key["kty"]]],
            leeway=SKEW_SECONDS,
            options={"verify_aud": False, "require": ["exp"]},
        )
    except jwt.ExpiredSignatureError:
        raise AssertionRefused("The assertion has expired.") from None
    except jwt.MissingRequiredClaimError:
        raise AssertionRefused("exp is missing.") from None
    except _UNREADABLE:
        raise AssertionRefused("The signature or a claim of the assertion is not valid.") from None
    _require_claims(application, claims)
    _use(application, claims)
    return application


def _has_header(request: Any) -> bool:
    return bool(request.headers.get("HTTP_AUTHORIZATION") or request.headers.get("Authorization"))


def _application(client_id: Any) -> Application | None:
    if not isinstance(client_id, str) or not client_id.isascii() or not client_id.isprintable():
        return None
    found = Application.objects.standing().filter(client_id=client_id).first()
    return found if found and found.signs_in_with_keys else None


def _key(application: Application, header: dict[str, Any]) -> dict[str, str]:
    """The key that the header names, of a type that signs with the header's algorithm."""
    if header.get("jku", application.jwks_url) != application.jwks_url:
        raise AssertionRefused("jku is not the address that was registered.")
    keys = application.jwks or _fetched(application, header.get("kid"))
    named = [key for key in keys if key["kid"] == header.get("kid")]
    fitting = [key for key in named if public_keys.ALGORITHMS[key["kty"]] == header.get("alg")]
    if not fitting:
        raise AssertionRefused("There is no RS384 or ES384 key with this kid and alg.")
    return fitting[0]


def _fetched(application: Application, kid: Any) -> list[dict[str, str]]:
    """The key set at the application's URL, from the cache or, if a key is missing there, fetched
    again. Raises AssertionRefused.
    """
    place = f"jwks:{application.pk}:{hashlib.sha256(application.jwks_url.encode()).hexdigest()}"
    kept: list[dict[str, str]] = cache.get(place, [])
    if any(key["kid"] == kid for key in kept):
        return kept
    if not cache.add(f"{place}:asked", True, ASKED_AGAIN_AFTER):
        if kept:
            return kept
        raise AssertionRefused("The key set was asked for a moment ago. Try again in some seconds.")
    try:
        answer = http.get(application.jwks_url, most=public_keys.LARGEST, seconds=FETCH_SECONDS)
    except NotSent as error:
        raise AssertionRefused(f"The key set could not be fetched. {error}") from None
    found = public_keys.of_set(answer.body) if answer.status_code == 200 else []
    if not found:
        raise AssertionRefused("There is no key set with an RS384 or ES384 key at the address.")
    said = _MAX_AGE.search(answer.cache_control)
    seconds = min(int(said[1]), MOST_KEPT_SECONDS) if said else KEPT_SECONDS
    if seconds and "no-store" not in answer.cache_control:
        cache.set(place, found, seconds)
    return found


def _require_claims(application: Application, claims: dict[str, Any]) -> None:
    if claims.get("iss") != application.client_id or claims.get("sub") != application.client_id:
        raise AssertionRefused("iss and sub are both the client ID.")
    ours = (discovery.issuer(), discovery.token_address(), discovery.revocation_address())
    if claims.get("aud") not in ours:
        raise AssertionRefused(f"aud is {discovery.token_address()}, and nothing else.")
    if not isinstance(claims["exp"], int | float):
        raise AssertionRefused("exp is a number.")
    if claims["exp"] > time.time() + MOST_SECONDS + SKEW_SECONDS:
        raise AssertionRefused("exp is at most five minutes ahead.")
    if not isinstance(claims.get("jti"), str) or not 0 < len(claims["jti"]) <= 255:
        raise AssertionRefused("jti is a text of at most 255 characters.")


def _use(application: Application, claims: dict[str, Any]) -> None:
    """Use up the assertion. The constraint decides among processes. It stays used, whatever becomes
    of the request.
    """
    try:
        with transaction.atomic():
            UsedAssertion.objects.create(
                application=application,
                jti_sha256=hashlib.sha256(claims["jti"].encode(errors="replace")).hexdigest(),
                expires_at=datetime.fromtimestamp(claims["exp"] + SKEW_SECONDS, UTC),
            )
    except IntegrityError:
        raise AssertionRefused("This assertion was used before.") from None
