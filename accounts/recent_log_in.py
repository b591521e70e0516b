"""Views that hand out access or data require a recent log-in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.internal.flows.reauthentication import (
    is_reauthentication_required,
    raise_if_reauthentication_required,
)
from django.http import HttpRequest
from django.http.response import HttpResponseBase

View = Callable[..., HttpResponseBase]
_APP = "allauth.account"


def recent_log_in(view: View) -> View:
    """Ask for the password or a factor first, unless the last log-in is recent
    (``ACCOUNT_REAUTHENTICATION_TIMEOUT``). A POST is done afterwards, with what was sent.
    """

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        raise_if_reauthentication_required(request, app=_APP)
        return view(request, *args, **kwargs)

    return asked


def is_recent(request: HttpRequest) -> bool:
    """Raise PermissionDenied without a recent log-in, for callers that cannot be redirected."""
    return not is_reauthentication_required(request, app=_APP)
