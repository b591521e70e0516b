"""An account's data besides its record: part of a person's own export."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.db.models import QuerySet

from accounts.models import User
from screening.exports.records import plain
from screening.models import CalendarFeed, Webhook

PROFILE = (
    "id",
    "email",
    "first_name",
    "last_name",
    "date_joined",
    "last_login",
    "mails_reminders",
)


def account_of(user: User) -> dict[str, Any]:
    """Keys and second factors without secrets: of a key its name, of a second factor its kind."""
    return {
        **{name: plain(getattr(user, name)) for name in PROFILE},
        "addresses": _rows(EmailAddress.objects.filter(user=user), "email", "verified", "primary"),
        "agreements": _rows(user.agreements, "version", "clinic", "given_at", "withdrawn_at"),
        "memberships": _rows(user.memberships, "clinic", "role", "created"),
        "api_keys": _rows(
            user.api_keys,
            "name",
            "prefix",
            "clinic",
            "scopes",
            "created",
            "expires_at",
            "last_used_at",
            "revoked_at",
        ),
        "webhooks": _rows(
            Webhook.objects.filter(owner=user), "name", "target", "events", "created"
        ),
        "calendar_links": _rows(CalendarFeed.objects.filter(user=user), "created"),
        "second_factors": _rows(
            Authenticator.objects.filter(user=user), "type", "created_at", "last_used_at"
        ),
        "identity_providers": _identity_providers(user),
        "sessions": _rows(
            UserSession.objects.filter(user=user), "ip", "user_agent", "created_at", "last_seen_at"
        ),
        "invitations_sent": _rows(
            user.invitations_sent, "clinic", "email", "role", "created", "accepted_at"
        ),
    }


def _identity_providers(user: User) -> list[dict[str, Any]]:
    if not apps.is_installed("allauth.socialaccount"):  # OIDC_URL is off
        return []
    accounts = apps.get_app_config("socialaccount").get_model("SocialAccount")
    connected = accounts._default_manager.filter(user=user)
    return _rows(connected, "provider", "uid", "date_joined")


def _rows(rows: QuerySet[Any] | Any, *names: str) -> list[dict[str, Any]]:
    found = rows.order_by("pk").values(*names)
    return [{name: plain(value) for name, value in row.items()} for row in found]
