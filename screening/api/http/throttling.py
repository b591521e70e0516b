"""Rate limits per caller: counted in the cache, which all processes share, and reported in every
response (draft-ietf-httpapi-ratelimit-headers).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

# Windows reuse this many cache keys in turn, so that files on disk do not pile up. A window lasts
# at least a minute, so each has expired (five minutes) when its key is reused.
TURNS = 10


@dataclass(frozen=True, slots=True)
class Standing:
    """A caller's remaining requests. seconds: until the window ends."""

    quota: int
    window: int
    left: int
    seconds: int


def caller_of(request: Request, address: str) -> str:
    """The key or application; for a browser the user; for anonymous requests the address."""
    credential: Any = request.auth
    if credential is not None:
        return str(credential.caller)
    return f"user:{request.user.pk}" if request.user.is_authenticated else f"address:{address}"


class CallerThrottle(SimpleRateThrottle):
    """A fixed window. If the cache cannot increment atomically (files on disk), two simultaneous
    requests may count as one: a limit need not be more exact than that.
    """

    scope = "caller"
    num_requests: int | None
    duration: int | None

    def allow_request(self, request: Request, view: Any) -> bool:
        quota, window = self.num_requests, self.duration
        if not quota or not window:
            return True
        number, passed = divmod(int(time.time()), window)
        caller = caller_of(request, self.get_ident(request))
        used = _count(f"limit:{caller}:{number % TURNS}", window)
        self._seconds = window - passed
        request._request.rate_limit = Standing(  # type: ignore[attr-defined]
            quota, window, max(0, quota - used), self._seconds
        )
        return used <= quota

    def wait(self) -> float:
        return self._seconds


def tell_limits(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: adds the headers to every response whose request was counted."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        standing: Standing | None = getattr(request, "rate_limit", None)
        if standing is not None:
            policy = f'"caller";q={standing.quota};w={standing.window}'
            response.headers["RateLimit-Policy"] = policy
            response.headers["RateLimit"] = f'"caller";r={standing.left};t={standing.seconds}'
        return response

    return middleware


def _count(key: str, window: int) -> int:
    """Count one more request; returns the total."""
    if cache.add(key, 1, timeout=window):
        return 1
    try:
        return int(cache.incr(key))
    except ValueError:  # expired between the two calls
        cache.set(key, 1, timeout=window)
        return 1
