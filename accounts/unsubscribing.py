"""Links in mail that end it with one click (RFC 8058), without a log-in."""

from __future__ import annotations

from django.conf import settings
from django.core import signing
from django.urls import reverse

from accounts.models import User

_SALT = "accounts.unsubscribing"


def headers(user: User) -> dict[str, str]:
    """Of a mail to ``user`` that they can do without."""
    path = reverse("mail_off", args=[signing.dumps(str(user.pk), salt=_SALT)])
    return {
        "List-Unsubscribe": f"<{settings.SITE_URL}{path}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def user_of(token: str) -> User:
    """Raises User.DoesNotExist for a forged link. Links have no end: mail is kept for years."""
    try:
        return User.objects.get(pk=signing.loads(token, salt=_SALT))
    except signing.BadSignature:
        raise User.DoesNotExist from None
