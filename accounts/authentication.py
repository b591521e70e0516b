"""API keys for Django REST framework: ``Authorization: Bearer sk_…``."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import ApiKey, User

_LAST_USED_RESOLUTION = timedelta(minutes=1)


class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        """The key's owner; None without a bearer token. Raises on one that opens nothing."""
        scheme, _, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = (
            ApiKey.objects.active()
            .select_related("user")
            .filter(secret_sha256=ApiKey.digest(secret.strip()), user__is_active=True)
            .first()
        )
        if key is None:
            raise AuthenticationFailed("This API key is unknown or has been revoked.")
        now = timezone.now()
        # Written at most once a minute: a busy client is not to turn every read into a write.
        if key.last_used_at is None or key.last_used_at < now - _LAST_USED_RESOLUTION:
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="SkinCheck API"'
