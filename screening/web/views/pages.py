"""Pages without a record: home, and the pages about data and model."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from ml import reader
from screening.charts import card as card_charts
from screening.charts import card_summary, card_tables, prevalence
from screening.charts import data_set as data_set_charts
from screening.models import Lesion, Patient
from screening.predictions import advice
from screening.records import queries as record_queries
from screening.reminders import queries as reminder_queries
from screening.web.views import front
from screening.web.views.requests import UserRequest

ATTENTION_SHOWN = 12
RECENT_SHOWN = 8
CONCLUDED_SHOWN = 5


@login_not_required
@require_safe
def home(request: UserRequest) -> HttpResponse:
    """What needs attention first, then what was worked on last; to visitors, the landing page."""
    if not request.user.is_authenticated:
        return front.landing(request)
    found = record_queries.needs_attention(request.user)
    attention = _first(found, ATTENTION_SHOWN, request)
    waiting = record_queries.awaited(request.user)
    awaited = _first(waiting, ATTENTION_SHOWN, request)
    shown = [one.pk for one in (*attention, *awaited)]
    others = record_queries.recently_added(request.user).exclude(pk__in=shown)
    return render(
        request,
        "screening/home.html",
        {
            "concluded": _first(record_queries.concluded(request.user), CONCLUDED_SHOWN, request),
            "attention": attention,
            "attention_count": _count(found, attention),
            "withheld_count": record_queries.withheld(request.user).count(),
            "awaited": awaited,
            "awaited_count": _count(waiting, awaited),
            "unfinished": record_queries.unfinished(request.user)[:ATTENTION_SHOWN],
            "recent": _first(others, RECENT_SHOWN, request),
            "due_count": reminder_queries.due_count(request.user),
            "has_record": Patient.objects.visible_to(request.user).exists(),
        },
    )


def _count(found: QuerySet[Lesion], shown: list[Lesion]) -> int:
    return found.count() if len(shown) == ATTENTION_SHOWN else len(shown)


def _first(lesions: QuerySet[Lesion], count: int, request: UserRequest) -> list[Lesion]:
    found = list(record_queries.rows(lesions, 0, count))
    return record_queries.attach_latest_images(found, request.user)


@login_not_required
@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    return render(request, "screening/help.html", {"watch_for": advice.WATCH_FOR})


@login_not_required
@require_safe
def data_set(request: HttpRequest) -> HttpResponse:
    """The data that the current model was trained on."""
    card = _card_or_404(reader.DEFAULT_VERSION)
    return render(
        request,
        "screening/data_set.html",
        {
            "card": card,
            "written": date.fromisoformat(card["date"]),
            "size": data_set_charts.size(card),
            "stories": data_set_charts.stories(card),
            "missing": data_set_charts.missing(card),
        },
    )


@login_not_required
@require_safe
def model(request: HttpRequest, version: str = reader.DEFAULT_VERSION) -> HttpResponse:
    """What a model version is for, how well it performs, and where it fails."""
    card = _card_or_404(version)
    return render(
        request,
        "screening/model.html",
        {
            "card": card,
            "written": date.fromisoformat(card["date"]),
            "good_for": card_summary.good_for(card),
            "fails": card_summary.fails(card),
            "stories": card_charts.stories(card),
            "meaning": prevalence.story(card),
            "other_cameras": card_tables.other_cameras(card),
            "told_by_source": card_tables.told_by_source(card),
            "subgroups": card_tables.subgroups(card),
            "turned_away": card_tables.turned_away(card),
            "similar_cases": card_tables.similar_cases(card),
            "outlines": card_tables.outlines(card),
            "beside_reference": card_tables.beside_reference(card),
            "versions": reader.versions()[::-1],
            "current_version": reader.DEFAULT_VERSION,
        },
    )


@login_not_required
@require_safe
def model_card(request: HttpRequest, version: str) -> HttpResponse:
    """The model card itself, for other programs."""
    return JsonResponse(_card_or_404(version), json_dumps_params={"indent": 1})


def _card_or_404(version: str) -> dict[str, Any]:
    # Check the list, not the disk: the version comes from the URL.
    if version not in reader.versions():
        raise Http404("There is no such model version.")
    return reader.card(version)
