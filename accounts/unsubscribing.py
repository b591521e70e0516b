"""One-click unsubscribe links in mail (RFC 8058), without a log-in."""

from __future__ import annotations

from django.conf import settings
from django.core import signing
from django.urls import reverse

from accounts.models import User

_SALT = "accounts.unsubscribing"


def headers(user: User) -> dict[str, str]:
    """The headers of optional mail to ``user``."""
    path = reverse("mail_off", args=[signing.dumps(str(user.pk), salt=_SALT)])
    return {
        "List-Unsubscribe": f"<{settings.SITE_URL}{path}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def user_of(token: str) -> User:
    """The user of a link. Raises User.DoesNotExist for a forged one. Links do not expire, because
    mail is kept for years.
    """
    try:
        return User.objects.get(pk=signing.loads(token, salt=_SALT))
    except signing.BadSignature:
        raise User.DoesNotExist from None
