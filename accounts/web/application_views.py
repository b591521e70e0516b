"""The part of a clinic's page where its admins register other systems."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts import applications, services
from accounts.models import Application
from accounts.recent_log_in import recent_log_in
from accounts.web.forms import ApplicationForm, KeysForm
from accounts.web.views import SignedInRequest, clinic_page, visible_clinic
from screening.web import form_tokens
from screening.web.forms.submit import submit


@never_cache
@require_POST
@recent_log_in
def register(request: SignedInRequest, pk: UUID) -> HttpResponse:
    """Respond with the page itself, because the secret could not be read after a redirect."""
    clinic = visible_clinic(request, pk)
    services.require_clinic_admin(user=request.user, clinic=clinic)
    form = ApplicationForm(request.POST)
    made = submit(form, applications.register_application, user=request.user, clinic=clinic)
    if made is None:
        return clinic_page(request, clinic, application_form=form)
    application, secret = made
    form_tokens.made(request, reverse("clinic", args=[pk]))
    return clinic_page(request, clinic, new_application=application, secret=secret)


@never_cache
@require_POST
@recent_log_in
def renew(request: SignedInRequest, pk: UUID, application_pk: UUID) -> HttpResponse:
    clinic = visible_clinic(request, pk)
    application = _application(request, pk, application_pk)
    secret = applications.renew_secret(user=request.user, application=application)
    form_tokens.made(request, reverse("clinic", args=[pk]))
    return clinic_page(request, clinic, new_application=application, secret=secret)


@require_POST
@recent_log_in
def set_keys(request: SignedInRequest, pk: UUID, application_pk: UUID) -> HttpResponse:
    application = _application(request, pk, application_pk)
    form = KeysForm(request.POST)
    if submit(form, applications.set_keys, user=request.user, application=application):
        messages.success(request, f"“{application.name}” now signs in with its keys alone.")
    for errors in form.errors.values():
        messages.error(request, " ".join(map(str, errors)))
    return redirect("clinic", pk=pk)


@require_POST
@recent_log_in
def take_over(request: SignedInRequest, pk: UUID, application_pk: UUID) -> HttpResponse:
    application = _application(request, pk, application_pk)
    applications.take_over_application(user=request.user, application=application)
    messages.success(request, f"You are now responsible for “{application.name}”.")
    return redirect("clinic", pk=pk)


@require_POST
def revoke(request: SignedInRequest, pk: UUID, application_pk: UUID) -> HttpResponse:
    application = _application(request, pk, application_pk)
    applications.revoke_application(user=request.user, application=application)
    messages.success(request, f"“{application.name}” no longer has access.")
    return redirect("clinic", pk=pk)


def _application(request: SignedInRequest, clinic_pk: UUID, pk: UUID) -> Application:
    clinic = visible_clinic(request, clinic_pk)
    return get_object_or_404(clinic.applications.active().select_related("clinic", "user"), pk=pk)
