"""Pages that belong to no record: home, health, and what is told of data and model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import uuid4

from django.contrib.auth.decorators import login_not_required
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ml import reader
from screening import tracking
from screening.models import Lesion, Patient
from screening.views.requests import UserRequest

logger = logging.getLogger(__name__)

ATTENTION_SHOWN = 12
RECENT_SHOWN = 8


@require_safe
def home(request: UserRequest) -> HttpResponse:
    """What needs attention first, then what was worked on last."""
    attention = tracking.needs_attention(request.user)
    recent = tracking.with_latest(Lesion.objects.visible_to(request.user)).select_related("patient")
    return render(
        request,
        "screening/home.html",
        {
            "attention": tracking.attach_latest_images(list(attention[:ATTENTION_SHOWN])),
            "attention_count": attention.count(),
            "unfinished": tracking.unfinished(request.user)[:ATTENTION_SHOWN],
            "recent": tracking.attach_latest_images(
                list(recent.order_by("-modified", "-pk")[:RECENT_SHOWN])
            ),
            "has_record": Patient.objects.visible_to(request.user).exists(),
        },
    )


@login_not_required
@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """The process answers. Nothing else is asked, so that a slow disk does not restart it."""
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 when pages can be served and images kept; 503 naming what is missing, and no more."""
    checks = {"database": _ask_database, "model": _find_model, "storage": _write_storage}
    missing = [name for name, check in checks.items() if not _passes(name, check)]
    return JsonResponse(
        {"status": "missing" if missing else "ok", "missing": missing},
        status=503 if missing else 200,
    )


def _passes(name: str, check: Callable[[], None]) -> bool:
    try:
        check()
    except Exception:  # whatever it is, the answer is the same; the log has the reason
        logger.exception("not ready: %s", name)
        return False
    return True


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _find_model() -> None:
    reader.card(reader.DEFAULT_VERSION)


def _write_storage() -> None:
    name = default_storage.save(f"health-{uuid4().hex}", ContentFile(b"ok"))
    default_storage.delete(name)
