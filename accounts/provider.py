"""Log-in through a clinic's identity provider counts as recent by the provider's own clock."""

from __future__ import annotations

import time
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.http import HttpRequest

AGAIN = "redirect"
"""What allauth calls a way to the provider and back that leaves the session as it is."""


class ProviderAdapter(DefaultSocialAccountAdapter):
    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Note that whoever is logged in here has logged in there again."""
        if sociallogin.state.get("process") == AGAIN and sociallogin.user == request.user:
            at = logged_in_at(sociallogin)
            record_authentication(
                request, request.user, "socialaccount", at=at, reauthenticated=True
            )


def logged_in_at(sociallogin: Any) -> float:
    """When the person gave the provider their password or factor: whoever is logged in there comes
    back without. Now, if the provider does not say.
    """
    claims = sociallogin.account.extra_data.get("id_token") or {}
    said = claims.get("auth_time")
    return min(float(said), time.time()) if isinstance(said, int) else time.time()
