"""Clinics that follow a person's record: invited and ended by its owner, answered by the clinic."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import services as accounts
from accounts.models import Clinic
from accounts.recent_log_in import recent_log_in, recent_log_in_to_post
from accounts.roles import REVIEWERS, Role
from screening.models import Following, Patient
from screening.privacy import following as followings
from screening.web.forms.followings import AcceptForm, InviteClinicForm
from screening.web.forms.submit import carry_out, submit
from screening.web.views.requests import UserRequest

FORMER_SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
@recent_log_in_to_post
def of_record(request: UserRequest, pk: UUID) -> HttpResponse:
    """Which clinic follows the record; a POST invites one."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    if patient.owner_id != request.user.pk:
        raise PermissionDenied("Only the person whose record it is decides which clinic follows.")
    form = InviteClinicForm(request.POST or None)
    if request.method == "POST":
        made = submit(form, followings.invite, user=request.user, patient=patient)
        if made is not None:
            messages.success(
                request, f"{made.clinic} is invited. They see your record only once they accept."
            )
            return redirect("patient_clinic", pk)
    of = patient.followings.select_related("clinic")
    context = {
        "patient": patient,
        "form": form,
        "following": of.standing().first(),
        "waiting": of.waiting().first(),
        "former": of.filter(ended_at__isnull=False)[:FORMER_SHOWN],
    }
    return render(request, "sharing/clinic.html", context)


@require_POST
def end(request: UserRequest, pk: UUID) -> HttpResponse:
    of = Following.objects.owned_by(request.user).select_related("clinic", "patient")
    following = get_object_or_404(of, pk=pk)
    try:
        followings.end(user=request.user, following=following)
    except ValidationError as error:  # the record has gone since the page was opened
        messages.error(request, error.messages[0])
    else:
        if following.accepted_at is None:
            messages.success(request, "The invitation is withdrawn.")
        else:
            messages.success(request, f"{following.clinic} no longer sees your record.")
    if Patient.objects.visible_to(request.user).filter(pk=following.patient_id).exists():
        return redirect("patient_clinic", following.patient_id)
    return redirect("home")


@require_safe
def of_clinic(request: UserRequest, pk: UUID) -> HttpResponse:
    """Who invited the clinic, and whom it follows."""
    return _page(request, _clinic(request, pk))


@require_POST
def accept(request: UserRequest, pk: UUID) -> HttpResponse:
    following = _answerable(request, pk)
    form = AcceptForm(request.POST)
    if submit(form, followings.accept, user=request.user, following=following) is None:
        return _page(request, following.clinic, answered=following, form=form)
    messages.success(request, f"{following.clinic} follows this record from now on.")
    return redirect("patient", following.patient_id)


@require_POST
def decline(request: UserRequest, pk: UUID) -> HttpResponse:
    following = _answerable(request, pk)
    # It may have been answered or withdrawn since the page was opened.
    carry_out(request, followings.decline, "The invitation is declined.", following=following)
    return redirect("clinic_followings", following.clinic_id)


@require_POST
@recent_log_in
def code(request: UserRequest, pk: UUID) -> HttpResponse:
    """Create, replace or remove the code with which people invite the clinic."""
    clinic = get_object_or_404(Clinic.objects.with_member(request.user), pk=pk)
    if request.POST.get("act") == "remove":
        accounts.remove_code(user=request.user, clinic=clinic)
        messages.success(request, "The code no longer works.")
    else:
        accounts.renew_code(user=request.user, clinic=clinic)
        messages.success(request, f"The code is {clinic.written_code}.")
    return redirect("clinic_followings", pk)


def _clinic(request: UserRequest, pk: UUID) -> Clinic:
    clinic = get_object_or_404(Clinic.objects.with_member(request.user), pk=pk)
    if not Clinic.objects.with_member(request.user, REVIEWERS).contains(clinic):
        raise PermissionDenied("Only clinicians and admins of the clinic see invitations.")
    return clinic


def _answerable(request: UserRequest, pk: UUID) -> Following:
    """An invitation to a clinic where the user concludes."""
    of = Following.objects.answerable_by(request.user).select_related("clinic", "invited_by")
    return get_object_or_404(of, pk=pk)


def _page(
    request: UserRequest,
    clinic: Clinic,
    answered: Following | None = None,
    form: AcceptForm | None = None,
) -> HttpResponse:
    waiting = list(
        Following.objects.answerable_by(request.user)
        .filter(clinic=clinic)
        .select_related("invited_by")
    )
    for following in waiting:
        row: Any = following
        is_answered = answered is not None and answered.pk == following.pk
        row.form = form if is_answered else AcceptForm(auto_id=f"%s-{following.pk}")
    of = Following.objects.filter(clinic=clinic)
    context = {
        "clinic": clinic,
        "waiting": waiting,
        "standing": of.standing().filter(patient__withdrawn_at=None).select_related("patient"),
        "former": of.filter(accepted_at__isnull=False, ended_at__isnull=False)[:FORMER_SHOWN],
        "is_admin": Clinic.objects.with_member(request.user, (Role.ADMIN,)).contains(clinic),
    }
    return render(request, "sharing/clinic_followings.html", context)
