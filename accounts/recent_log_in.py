"""Whatever hands out access or data, or lowers the protection, requires a recent log-in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.internal.flows.reauthentication import (
    is_reauthentication_required,
    raise_if_reauthentication_required,
)
from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest
from django.http.response import HttpResponseBase

View = Callable[..., HttpResponseBase]
_APP = "allauth.account"


def recent_log_in(view: View) -> View:
    """Ask for the password or a factor first, unless the last log-in is recent
    (``ACCOUNT_REAUTHENTICATION_TIMEOUT``). A POST is done afterwards, with what was sent.
    """
    return _asking(view, lambda request: True)


def recent_log_in_to_post(view: View) -> View:
    """As ``recent_log_in``, for a page that may be seen without."""
    return _asking(view, lambda request: request.method == "POST")


def is_recent(request: HttpRequest) -> bool:
    """For callers that cannot be redirected."""
    try:
        return not is_reauthentication_required(request, app=_APP)
    except ReauthenticationRequired:
        return False


def _asking(view: View, asks: Callable[[HttpRequest], bool]) -> View:
    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if asks(request):
            raise_if_reauthentication_required(request, app=_APP)
        return view(request, *args, **kwargs)

    asked.asks_recent_log_in = True  # type: ignore[attr-defined]
    return asked
