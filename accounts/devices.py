"""Browsers in words, and which browsers a person has logged in with before."""

from __future__ import annotations

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from accounts.models import User

REMEMBERED = 365 * 86_400
"""Seconds for which a browser counts as known after a log-in."""
_SALT = "accounts.devices"
# By the token that only this browser sends. The first match counts.
_BROWSERS = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "Mac",
    "CrOS": "Chromebook",
    "Linux": "Linux",
}


def named(user_agent: str) -> str:
    """For example “Firefox on Linux”. The text itself is not repeated: the caller chose it."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in user_agent), "")
    return " on ".join(filter(None, (browser, system))) or "An unknown program"


def is_known(request: HttpRequest, user: User) -> bool:
    """Whether this person has logged in with this browser within a year."""
    try:
        value = request.get_signed_cookie(_cookie(user), salt=_SALT, max_age=REMEMBERED)
    except (KeyError, signing.BadSignature):
        return False
    return value == str(user.pk)


def remember(response: HttpResponse, user: User) -> None:
    response.set_signed_cookie(
        _cookie(user),
        str(user.pk),
        salt=_SALT,
        max_age=REMEMBERED,
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
        samesite="Lax",
    )


def _cookie(user: User) -> str:
    """The cookie's name: one for each account, without the account's name, because computers are
    shared.
    """
    return f"{settings.COOKIE_PREFIX}device_{salted_hmac(_SALT, str(user.pk)).hexdigest()[:12]}"
