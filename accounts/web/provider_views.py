"""Logging in again through the identity provider, for accounts with neither password nor factor."""

from __future__ import annotations

from allauth.account.internal.flows.reauthentication import resume_request
from allauth.socialaccount.adapter import get_adapter
from django.conf import settings
from django.contrib import messages
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.provider import AGAIN
from accounts.recent_log_in import is_recent
from accounts.web.views import SignedInRequest


@never_cache
@require_safe
def again(request: SignedInRequest) -> HttpResponseBase:
    """``next``: where to go on afterwards. ``max_age`` makes the provider say when it was."""
    if settings.IDENTITY_PROVIDER is None:
        raise Http404("There is no identity provider.")
    provider = get_adapter().get_provider(request, "openid_connect")
    done = f"{reverse('logged_in_again')}?{request.GET.urlencode()}"
    asked = {"prompt": "login", "max_age": str(settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)}
    back: HttpResponseBase = provider.redirect(request, AGAIN, next_url=done, auth_params=asked)
    return back


@never_cache
@require_safe
def done(request: SignedInRequest) -> HttpResponseBase:
    """Go on with what was asked for. A provider that lets people back in without asking would send
    them around for ever.
    """
    if not is_recent(request):
        messages.error(
            request,
            "Your identity provider did not ask you to log in. Log out there, and try again.",
        )
        return redirect("account")
    resumed: HttpResponseBase | None = resume_request(request)
    return resumed or redirect("home")
