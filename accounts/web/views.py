"""Pages of the account, its clinics and the invitations to them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import discovery, invitations, services
from accounts.models import ApiKey, Clinic, Membership, User
from accounts.recent_log_in import recent_log_in
from accounts.roles import Role
from accounts.second_factors import has_factor
from accounts.web.forms import (
    ApiKeyForm,
    ApplicationForm,
    BoundKeysForm,
    ClinicForm,
    InvitationForm,
    KeysForm,
    ProfileForm,
    ReviewingForm,
    RoleForm,
    SecondFactorForm,
)
from screening.images import quota
from screening.models import Following
from screening.web import form_tokens
from screening.web.forms.submit import carry_out, submit


class SignedInRequest(HttpRequest):
    """LoginRequiredMiddleware lets nobody else through to these views."""

    user: User


@require_http_methods(["GET", "HEAD", "POST"])
def account(request: SignedInRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, record=request.user)
    if request.method == "POST":
        saved = submit(form, services.edit_profile, user=request.user)
        if saved is not None:
            messages.success(request, "Your name is saved.")
            return redirect("account")
    return _account_page(request, profile_form=form)


@never_cache
@require_POST
@recent_log_in
def api_key_new(request: SignedInRequest) -> HttpResponse:
    """Respond with the page itself, because the secret could not be read after a redirect."""
    form = ApiKeyForm(request.POST, user=request.user)
    if form.is_valid():
        _, secret = services.create_api_key(user=request.user, **form.cleaned_data)
        form_tokens.made(request, reverse("account"))
        return _account_page(request, secret=secret)
    return _account_page(request, api_key_form=form)


@require_POST
def api_key_revoke(request: SignedInRequest, pk: UUID) -> HttpResponse:
    keys = ApiKey.objects.revocable_by(request.user).select_related("user")
    key = get_object_or_404(keys, pk=pk)
    services.revoke_api_key(user=request.user, key=key)
    messages.success(request, f"The key “{key.name}” no longer works.")
    return redirect("account")


@require_http_methods(["GET", "HEAD", "POST"])
def clinic_new(request: SignedInRequest) -> HttpResponse:
    form = ClinicForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            clinic = services.found_clinic(user=request.user, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return redirect("clinic", pk=clinic.pk)
    why_not = "" if services.may_found_clinics(request.user) else services.why_not()
    return render(request, "accounts/clinic_new.html", {"form": form, "why_not": why_not})


@require_safe
def clinic(request: SignedInRequest, pk: UUID) -> HttpResponse:
    return clinic_page(request, visible_clinic(request, pk))


@require_POST
def reviewing(request: SignedInRequest, pk: UUID) -> HttpResponse:
    clinic = visible_clinic(request, pk)
    form = ReviewingForm(request.POST, record=clinic)
    if submit(form, services.set_reviewing, user=request.user, clinic=clinic) is None:
        return clinic_page(request, clinic, reviewing=form)
    messages.success(request, "The setting for reviews is saved.")
    return redirect(f"{reverse('clinic', args=[pk])}#reviewing")


@require_POST
@recent_log_in
def second_factor(request: SignedInRequest, pk: UUID) -> HttpResponse:
    clinic = visible_clinic(request, pk)
    form = SecondFactorForm(request.POST, record=clinic)
    saved = submit(form, services.require_second_factor, user=request.user, clinic=clinic)
    if saved is None:
        return clinic_page(request, clinic, second_factor=form)
    messages.success(request, "The setting for logging in is saved.")
    return redirect(f"{reverse('clinic', args=[pk])}#second-factor")


@require_POST
@recent_log_in
def bound_keys(request: SignedInRequest, pk: UUID) -> HttpResponse:
    clinic = visible_clinic(request, pk)
    form = BoundKeysForm(request.POST, record=clinic)
    saved = submit(form, services.require_bound_keys, user=request.user, clinic=clinic)
    if saved is None:
        return clinic_page(request, clinic, bound_keys=form)
    messages.success(request, "The setting for API keys is saved.")
    return redirect(f"{reverse('clinic', args=[pk])}#bound-keys")


@require_POST
@recent_log_in
def invite(request: SignedInRequest, pk: UUID) -> HttpResponse:
    clinic = visible_clinic(request, pk)
    services.require_clinic_admin(user=request.user, clinic=clinic)
    form = InvitationForm(request.POST)
    if form.is_valid():
        try:
            invitation = invitations.invite(user=request.user, clinic=clinic, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            # Mailed after this: the page then shown says whether the server took it.
            messages.success(request, f"{invitation.email} is invited.")
            return redirect("clinic", pk=clinic.pk)
    return clinic_page(request, clinic, form=form)


@require_POST
def withdraw_invitation(request: SignedInRequest, pk: UUID, invitation_pk: UUID) -> HttpResponse:
    clinic = visible_clinic(request, pk)
    invitation = get_object_or_404(clinic.invitations.open(), pk=invitation_pk)
    done = f"The invitation to {invitation.email} is withdrawn."
    carry_out(request, invitations.withdraw, done, invitation=invitation)
    return redirect("clinic", pk=clinic.pk)


@require_POST
@recent_log_in
def change_role(request: SignedInRequest, pk: UUID, membership_pk: UUID) -> HttpResponse:
    clinic = visible_clinic(request, pk)
    membership = _membership(clinic, membership_pk)
    services.require_clinic_admin(user=request.user, clinic=clinic)
    form = RoleForm(request.POST, record=membership)
    changed = submit(form, services.change_role, user=request.user, membership=membership)
    if changed is not None:
        role = changed.get_role_display().lower()
        messages.success(request, f"{membership.user} is now {role}.")
    for errors in form.errors.values():
        messages.error(request, " ".join(map(str, errors)))
    return redirect("clinic", pk=clinic.pk)


@require_POST
def remove_member(request: SignedInRequest, pk: UUID, membership_pk: UUID) -> HttpResponse:
    clinic = visible_clinic(request, pk)
    membership = _membership(clinic, membership_pk)
    try:
        services.remove_member(user=request.user, membership=membership)
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return redirect("clinic", pk=clinic.pk)
    if membership.user_id == request.user.pk:
        messages.success(request, f"You have left {clinic}.")
        return redirect("account")
    messages.success(request, f"{membership.user} is no longer a member.")
    return redirect("clinic", pk=clinic.pk)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def accept_invitation(request: SignedInRequest, token: str) -> HttpResponse:
    """GET changes nothing: mail programs open links automatically."""
    try:
        invitation = invitations.invitation_of(token)
    except ValidationError as error:
        return _invitation_that_is_none(request, error)
    context: dict[str, Any] = {"invitation": invitation}
    if invitation.email != request.user.email.lower():
        context["is_foreign"] = True
        return render(request, "accounts/invitation.html", context, status=403)
    if request.method == "POST":
        try:
            invitations.accept(user=request.user, token=token)
        except ValidationError as error:  # withdrawn or used since the page was opened
            return _invitation_that_is_none(request, error)
        messages.success(request, f"Welcome to {invitation.clinic}.")
        return redirect("clinic", pk=invitation.clinic_id)
    return render(request, "accounts/invitation.html", context)


def _invitation_that_is_none(request: HttpRequest, error: ValidationError) -> HttpResponse:
    context = {"problem": error.messages[0]}
    return render(request, "accounts/invitation.html", context, status=404)


def visible_clinic(request: SignedInRequest, pk: UUID) -> Clinic:
    return get_object_or_404(Clinic.objects.with_member(request.user), pk=pk)


def _membership(clinic: Clinic, pk: UUID) -> Membership:
    return get_object_or_404(clinic.memberships.of_people().select_related("user", "clinic"), pk=pk)


def _account_page(request: SignedInRequest, **context: Any) -> HttpResponse:
    """The account page with the forms and the new secret in ``context``, or fresh ones."""
    user = request.user
    context = {
        "profile_form": ProfileForm(record=user),
        "api_key_form": ApiKeyForm(user=user),
        "memberships": user.memberships.select_related("clinic").order_by("clinic__name", "pk"),
        "api_keys": user.api_keys.unrevoked().select_related("clinic"),
        "webhooks": user.webhooks.all(),
        "storage": quota.of_account(user.pk),
        "has_factor": User.objects.filter(has_factor(), pk=user.pk).exists(),
        "patients_url": request.build_absolute_uri(reverse("api:patient-list")),
    } | context
    return render(request, "accounts/account.html", context)


def clinic_page(request: SignedInRequest, clinic: Clinic, **context: Any) -> HttpResponse:
    """The clinic's page with the forms and the new secret in ``context``, or fresh ones."""
    shown = clinic.memberships.of_people().select_related("user").order_by("created", "pk")
    members = list(shown.annotate(has_factor=has_factor("user__")))
    own = next(member for member in members if member.user_id == request.user.pk)
    is_admin = own.role == Role.ADMIN
    for member in members:
        row: Any = member
        row.role_form = RoleForm(record=member, auto_id=f"%s-{member.pk}")
    applications: list[Any] = []
    if is_admin:
        applications += clinic.applications.active().select_related("registered_by")
    for application in applications:
        application.keys_form = KeysForm(auto_id=f"%s-{application.pk}")
    context = {
        "clinic": clinic,
        "members": members,
        "own_membership": own,
        "is_admin": is_admin,
        "is_last_admin": is_admin and sum(m.role == Role.ADMIN for m in members) == 1,
        "roles": Role.choices,
        "invitations": clinic.invitations.open().select_related("invited_by") if is_admin else [],
        "applications": applications,
        "form": InvitationForm(),
        "storage": quota.of_clinic(clinic.pk),
        "followings": Following.objects.answerable_by(request.user).filter(clinic=clinic).count(),
        "webhooks": clinic.webhooks.all() if is_admin else [],
        "dicom_nodes": clinic.dicom_nodes.filter(removed_at=None) if is_admin else [],
        "reviewing": ReviewingForm(record=clinic),
        "second_factor": SecondFactorForm(record=clinic),
        "bound_keys": BoundKeysForm(record=clinic),
        "unbound_keys": ApiKey.objects.unbound_in(clinic).select_related("user")
        if is_admin
        else [],
        "application_form": ApplicationForm(),
        "token_url": discovery.token_address(),
    } | context
    return render(request, "accounts/clinic.html", context)
