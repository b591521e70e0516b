"""Pages without a record: home, and the pages about data and model."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from ml import reader
from screening.charts import card as card_charts
from screening.charts import card_summary, card_tables, prevalence
from screening.charts import data_set as data_set_charts
from screening.models import Lesion, Patient
from screening.predictions import advice
from screening.records import attention
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
    user = request.user
    found = attention.of(user)
    needs, awaited = found.needs[:ATTENTION_SHOWN], found.awaits[:ATTENTION_SHOWN]
    concluded = found.concluded[:CONCLUDED_SHOWN]
    above = {*needs, *awaited}
    recent = [pk for pk in found.recent if pk not in above][:RECENT_SHOWN]
    shown = list(dict.fromkeys([*needs, *awaited, *concluded, *recent]))
    found_rows = record_queries.with_keys(shown, user)
    lesions = {one.pk: one for one in record_queries.attach_latest_images(found_rows, user)}
    return render(
        request,
        "screening/home.html",
        {
            "concluded": _listed(concluded, lesions),
            "attention": _listed(needs, lesions),
            "attention_count": len(found.needs),
            "withheld_count": record_queries.withheld(user).count() if user.reviews_blind else 0,
            "awaited": _listed(awaited, lesions),
            "awaited_count": len(found.awaits),
            "unfinished": record_queries.unfinished(user)[:ATTENTION_SHOWN],
            "recent": _listed(recent, lesions),
            "due_count": reminder_queries.due_count(user),
            "has_spot": bool(shown),
            "has_record": bool(shown) or Patient.objects.visible_to(user).exists(),
        },
    )


def _listed(keys: list[UUID], lesions: dict[UUID, Lesion]) -> list[Lesion]:
    return [lesions[key] for key in keys if key in lesions]


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
