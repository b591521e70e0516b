"""Sessions end when nobody uses them, at the latest two weeks after the log-in, and when a factor
that opened them is removed. When one ends, the browser forgets the pictures in its cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY, logout
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from accounts import session_keys
from accounts.second_factors import was_removed

SINCE, SEEN = "since", "seen"
_NOTED = 60
"""Seconds within which a further request is not noted, so that not each one writes."""
FORGOTTEN = '"cache"'
"""Not the storage: pictures may wait in it to be sent, and ``waiting.js`` forgets them itself."""


class IdleLimit:
    """Middleware; runs after messages, and before any view asks for the user."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return self.get_response(request)
        was_in = SESSION_KEY in request.session
        _check(request)
        proofs = _proofs(request)
        response = self.get_response(request)
        if was_in and SESSION_KEY not in request.session:
            response.headers["Clear-Site-Data"] = FORGOTTEN
        elif was_in and _proofs(request) > proofs:
            session_keys.renew(request)
        return response


def _proofs(request: HttpRequest) -> int:
    """How often the person has given a password or a factor in this session."""
    return len(request.session.get(AUTHENTICATION_METHODS_SESSION_KEY, ()))


def _check(request: HttpRequest) -> None:
    session, now = request.session, time.time()
    seen = session.get(SEEN)
    if seen is not None and _is_over(now - seen, now - session.get(SINCE, seen)):
        logout(request)
        messages.info(
            request, "You were logged out because you had not used SkinCheck for a while."
        )
    elif AUTHENTICATION_METHODS_SESSION_KEY in session and was_removed(request):
        logout(request)
        messages.info(request, "The second factor you used here was removed. Log in again.")
    elif (seen is None or abs(now - seen) > _NOTED) and request.user.is_authenticated:
        session.setdefault(SINCE, now)
        session[SEEN] = now
        kept = UserSession.objects.filter(session_key=session.session_key)
        kept.update(last_seen_at=timezone.now())


def _is_over(idle: float, age: float) -> bool:
    """Idle and total lifetime, in seconds."""
    return idle > settings.SESSION_IDLE_MINUTES * 60 or age > settings.SESSION_COOKIE_AGE
