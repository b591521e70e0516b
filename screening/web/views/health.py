"""Health checks: for monitoring, without a login, and in words for staff."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from screening.operations import health, heartbeats
from screening.web.views.requests import UserRequest

A_MINUTE = 120
"""Requests per address. Each process counts separately: a health check must not depend on a cache
or a disk.
"""

View = Callable[[HttpRequest], HttpResponse]


class _Counts:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute, self._of = 0, Counter[str]()

    def one_more(self, address: str) -> int:
        with self._lock:
            minute = int(time.time() // 60)
            if minute != self._minute:
                self._minute, self._of = minute, Counter()
            self._of[address] += 1
            return self._of[address]


_counts = _Counts()


def limited(view: View) -> View:
    """Requests over the limit per minute get 429."""

    @wraps(view)
    def counted(request: HttpRequest) -> HttpResponse:
        address = BaseThrottle().get_ident(Request(request)) or ""
        if _counts.one_more(address) > A_MINUTE:
            wait = 60 - int(time.time() % 60)
            return HttpResponse(
                "Too many requests.",
                status=429,
                content_type="text/plain",
                headers={"Retry-After": str(wait)},
            )
        return view(request)

    return counted


@login_not_required
@never_cache
@require_safe
@limited
def live(request: HttpRequest) -> HttpResponse:
    """The process responds. Nothing else is checked, so that a slow disk does not cause a
    restart.
    """
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
@limited
def ready(request: HttpRequest) -> HttpResponse:
    """200 if pages can be served and images stored; 503 with the names of what is missing, and no
    details. If the database responds, the answer also says how long the oldest image has waited,
    how long the oldest reading has been in progress, when each process last reported, and for how
    long it had been at its task then.
    """
    missing = health.missing()
    found: dict[str, Any] = {"status": "missing" if missing else "ok", "missing": missing}
    if "database" not in missing:
        readings, running = health.readings(), health.in_progress()
        parts = heartbeats.all_known()
        is_late = health.is_late(readings) or health.is_late(running)
        if not missing and (is_late or any(map(heartbeats.hangs, parts))):
            found["status"] = "late"
        found["oldest_queued_seconds"] = readings.seconds
        found["oldest_running_seconds"] = running.seconds
        found["heartbeats"] = [
            {
                "part": one.part,
                "seconds": health.seconds_since(one.beat_at),
                "busy_seconds": health.seconds_since(one.task_since) if one.task_since else None,
            }
            for one in parts
        ]
    return JsonResponse(found, status=503 if missing else 200)


@require_safe
def status(request: UserRequest) -> HttpResponse:
    """All queues and processes by name, for staff."""
    if not request.user.is_staff:
        raise Http404
    waiting, parts = health.all_that_waits(), heartbeats.all_known()
    return render(
        request,
        "screening/status.html",
        {
            "missing": health.missing(),
            "waiting": waiting,
            "late": health.is_late(waiting[0]),
            "late_after": health.LATE_AFTER,
            "parts": [(one, heartbeats.is_silent(one), heartbeats.hangs(one)) for one in parts],
        },
    )
