"""The key by which a browser's cookie names its session."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.http import HttpRequest


def renew(request: HttpRequest) -> None:
    """Once a session may do more, a key that somebody knew from before opens nothing."""
    known = UserSession.objects.filter(session_key=request.session.session_key)
    rows = list(known.values_list("pk", flat=True))
    request.session.cycle_key()
    UserSession.objects.filter(pk__in=rows).update(session_key=request.session.session_key)
