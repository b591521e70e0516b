"""Endpoints where applications get and revoke tokens (RFC 6749, RFC 7009), with a limit per minute;
and their metadata (RFC 8414).
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from oauth2_provider import views
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from accounts import discovery


class TokenThrottle(SimpleRateThrottle):
    """Limits by address, because the identity is what is guessed. Checking a secret takes a slow
    hash.
    """

    scope = "token"

    def get_cache_key(self, request: Request, view: Any) -> str:
        return f"token:{self.get_ident(request)}"


class Throttled(View):
    """A POST over the limit gets 429, in OAuth's error format."""

    http_method_names = ["post"]

    # The callers are programs: they have no cookie, and send a secret with each request.
    @method_decorator(csrf_exempt)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        throttle = TokenThrottle()
        if throttle.allow_request(cast("Any", request), cast("Any", self)):
            return super().dispatch(request, *args, **kwargs)
        body = {
            "error": "temporarily_unavailable",
            "error_description": "Too many requests. Wait as long as Retry-After says.",
        }
        wait = int(throttle.wait() or 60) + 1
        return JsonResponse(body, status=429, headers={"Retry-After": str(wait)})


class TokenView(Throttled, views.TokenView):
    pass


class RevokeTokenView(Throttled, views.RevokeTokenView):
    pass


@csrf_exempt
@login_not_required
@require_safe
def metadata(request: HttpRequest) -> JsonResponse:
    return JsonResponse(discovery.server())
