"""Pages of erasure: of the account, of a record; what is pending; the receipt."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import agreements
from accounts.recent_log_in import recent_log_in
from accounts.web.erasure_forms import ErasureForm, GroundForm
from accounts.web.views import SignedInRequest
from screening.erasure import queries, receipts, services
from screening.models import Erasure, Patient
from screening.web.forms.submit import carry_out, submit

PAGE = ["GET", "HEAD", "POST"]


@never_cache
@require_safe
def listing(request: SignedInRequest) -> HttpResponse:
    """The user's erasures, pending and done."""
    return render(request, "erasure/erasures.html", {"erasures": queries.of(request.user)})


@never_cache
@require_http_methods(PAGE)
@recent_log_in
def account(request: SignedInRequest) -> HttpResponse:
    form = ErasureForm(request.POST or None, word=request.user.email)
    if request.method == "POST":
        asked = submit(form, services.ask_for_account, user=request.user)
        if asked is not None:
            services.end_other_sessions(user=request.user, session_key=request.session.session_key)
            return redirect("erasures")
    context = {"form": form, "extent": queries.extent_of_account(request.user)}
    return render(request, "erasure/account.html", {**context, "days": services.GRACE_DAYS})


@never_cache
@require_http_methods(PAGE)
@recent_log_in
def record(request: SignedInRequest, pk: UUID) -> HttpResponse:
    patient = get_object_or_404(
        Patient.objects.visible_to(request.user).select_related("clinic"), pk=pk
    )
    if not services.may_ask(request.user, patient):
        raise PermissionDenied("Only its owner, or a clinician of its clinic, erases a record.")
    is_own = patient.owner_id == request.user.pk
    if not is_own and agreements.is_asked_of(request):
        return redirect("agree")
    kind = ErasureForm if is_own else GroundForm
    form = kind(request.POST or None, word=patient.label)
    if request.method == "POST":
        asked = submit(form, services.ask_for_record, user=request.user, patient=patient)
        if asked is not None:
            return redirect("erasures")
    return render(
        request,
        "erasure/record.html",
        {
            "form": form,
            "patient": patient,
            "is_own": is_own,
            "may_export": Patient.objects.exportable_by(request.user).contains(patient),
            "is_shared": bool(patient.clinic_id and patient.owner_id),
            "kept_until": None if is_own else services.kept_until(patient),
            "may_erase": is_own or services.is_retention_over(patient),
            "extent": queries.extent_of(patient),
            "days": services.GRACE_DAYS,
        },
    )


@require_POST
@recent_log_in
def confirm(request: SignedInRequest, pk: UUID) -> HttpResponse:
    erasure = _visible(request, pk)
    return _done(request, services.confirm, erasure, "It is hidden now, and erased in 14 days.")


@require_POST
def undo(request: SignedInRequest, pk: UUID) -> HttpResponse:
    erasure = _visible(request, pk)
    return _done(request, services.undo, erasure, "It is not erased. It is there again.")


@never_cache
@login_not_required
@require_safe
def receipt(request: HttpRequest, token: str) -> HttpResponse:
    erasure = _by(token)
    context = {"erasure": erasure, "token": token, "receipt": erasure.receipt}
    context["is_genuine"] = receipts.is_genuine(erasure.receipt)
    return render(request, "erasure/receipt.html", context)


@never_cache
@login_not_required
@require_safe
def receipt_file(request: HttpRequest, token: str) -> HttpResponse:
    """The signed receipt; before erasure, the signed list of what will be erased."""
    erasure = _by(token)
    content = erasure.receipt or queries.announcement(erasure)
    if not content:
        raise Http404("Nothing is erased.")
    response = HttpResponse(receipts.as_json(content), content_type="application/json")
    response.headers["Content-Disposition"] = 'attachment; filename="skincheck-erasure.json"'
    return response


def _by(token: str) -> Erasure:
    """The erasure of a receipt's URL, which works without an account."""
    try:
        return Erasure.objects.get(pk=Erasure.pk_of(token))
    except Erasure.DoesNotExist:
        raise Http404("There is no such receipt.") from None


def _visible(request: SignedInRequest, pk: UUID) -> Erasure:
    return get_object_or_404(Erasure.objects.visible_to(request.user), pk=pk)


def _done(request: SignedInRequest, act: Any, erasure: Erasure, text: str) -> HttpResponse:
    carry_out(request, act, text, erasure=erasure)
    return redirect("erasures")
