"""Pages of batches: upload, progress, problems, results."""

from __future__ import annotations

from itertools import islice
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from screening.batches import queries as batch_queries
from screening.batches import results as tables
from screening.batches import services as batch_services
from screening.interop.tables import FileType, as_download
from screening.models import Batch
from screening.web.forms.batches import BatchForm
from screening.web.forms.submit import submit
from screening.web.views.requests import UserRequest

BATCHES_A_PAGE = 25
PROBLEMS_SHOWN = 50


@require_safe
def listing(request: UserRequest) -> HttpResponse:
    visible = Batch.objects.visible_to(request.user).select_related("clinic", "created_by")
    found = batch_queries.with_counts(visible).latest_first()
    page = Paginator(found, BATCHES_A_PAGE).get_page(request.GET.get("page"))
    shown = [(batch, batch_queries.counts_of(batch)) for batch in page]
    return render(request, "screening/batches.html", {"page": page, "batches": shown})


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: UserRequest) -> HttpResponse:
    form = BatchForm(request.POST or None, request.FILES or None, user=request.user)
    if request.method == "POST":
        batch = submit(form, batch_services.upload_batch, user=request.user)
        if batch is not None:
            return redirect("batch", batch.pk)
    return render(request, "screening/batch_form.html", {"form": form})


@require_safe
def detail(request: UserRequest, pk: UUID) -> HttpResponse:
    return render(request, "screening/batch.html", _standing(request, pk))


@require_safe
def status(request: UserRequest, pk: UUID) -> HttpResponse:
    """The part of the page that changes; 204 if it has not changed."""
    standing = _standing(request, pk)
    if standing["stage"] == request.GET.get("stage"):
        return HttpResponse(status=204)
    return render(request, "screening/partials/batch_status.html", standing)


@require_POST
def cancel(request: UserRequest, pk: UUID) -> HttpResponse:
    return _move(request, pk, batch_services.cancel_batch)


@require_POST
def resume(request: UserRequest, pk: UUID) -> HttpResponse:
    return _move(request, pk, batch_services.resume_batch)


@require_safe
def problems(request: UserRequest, pk: UUID) -> HttpResponseBase:
    rows = tables.problem_rows(_visible(request, pk))
    return as_download("problems", FileType.CSV, tables.PROBLEM_COLUMNS, rows)


@require_safe
def results(request: UserRequest, pk: UUID) -> HttpResponseBase:
    file_type = request.GET.get("file_type", FileType.CSV)
    if file_type not in FileType.values:
        raise Http404("There is no such kind of file.")
    rows = tables.results_of_batch(_visible(request, pk), request.user)
    return as_download("results", file_type, tables.BATCH_COLUMNS, rows)


def _visible(request: UserRequest, pk: UUID) -> Batch:
    visible = Batch.objects.visible_to(request.user).select_related("clinic", "created_by")
    return get_object_or_404(batch_queries.with_counts(visible), pk=pk)


def _move(request: UserRequest, pk: UUID, write: Any) -> HttpResponse:
    try:
        write(user=request.user, batch=_visible(request, pk))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("batch", pk)


def _standing(request: UserRequest, pk: UUID) -> dict[str, Any]:
    batch = _visible(request, pk)
    counts = batch_queries.counts_of(batch)
    found = list(islice(batch_queries.problems_of(batch), PROBLEMS_SHOWN + 1))
    return {
        "batch": batch,
        "counts": counts,
        "problems": found[:PROBLEMS_SHOWN],
        "more_problems": len(found) > PROBLEMS_SHOWN,
        "may_write": Batch.objects.writable_by(request.user).contains(batch),
        "file_types": FileType.choices,
        "stage": f"{batch.state}-{counts.rows}-{counts.imported}-{counts.done}",
    }
