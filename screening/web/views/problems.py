"""The pages behind the ``type`` of API errors: public, like the OpenAPI document."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from screening.api.http.problems import ALL, BY_SLUG


@login_not_required
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    return render(request, "screening/problems.html", {"kinds": ALL})


@login_not_required
@require_safe
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    if slug not in BY_SLUG:
        raise Http404("No such problem.")
    return render(request, "screening/problem.html", {"kind": BY_SLUG[slug]})
