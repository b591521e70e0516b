"""Pages of webhooks: the endpoints of a clinic or of a person's own record, and their log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import Clinic
from accounts.recent_log_in import recent_log_in, recent_log_in_to_post
from accounts.services import require_clinic_admin
from screening.models import Delivery, Webhook
from screening.web.forms.submit import carry_out, submit
from screening.web.forms.webhooks import WebhookForm
from screening.web.views.requests import UserRequest
from screening.webhooks import services as webhook_services

DELIVERIES_A_PAGE = 25


@require_http_methods(["GET", "HEAD", "POST"])
@recent_log_in_to_post
def new(request: UserRequest, pk: UUID | None = None) -> HttpResponse:
    """pk: of the clinic; without it the webhook is for the user's own record."""
    clinic = None
    if pk is not None:
        clinic = get_object_or_404(Clinic.objects.with_member(request.user), pk=pk)
        require_clinic_admin(user=request.user, clinic=clinic)
    form = WebhookForm(request.POST or None)
    if request.method == "POST":
        webhook = submit(form, webhook_services.add_webhook, user=request.user, clinic=clinic)
        if webhook is not None:
            messages.success(request, "The webhook is added. Send a test to see it arrive.")
            return redirect("webhook", webhook.pk)
    return render(request, "screening/webhook_form.html", {"form": form, "clinic": clinic})


@require_http_methods(["GET", "HEAD", "POST"])
@recent_log_in_to_post
def edit(request: UserRequest, pk: UUID) -> HttpResponse:
    webhook = _webhook(request, pk)
    form = WebhookForm(request.POST or None, record=webhook)
    if request.method == "POST":
        saved = submit(form, webhook_services.edit_webhook, user=request.user, webhook=webhook)
        if saved is not None:
            return redirect("webhook", pk)
    return render(request, "screening/webhook_form.html", {"form": form, "webhook": webhook})


@never_cache
@require_safe
def detail(request: UserRequest, pk: UUID) -> HttpResponse:
    """The endpoint, its secret, and the delivery log. ``state=failed`` filters the log."""
    webhook = _webhook(request, pk)
    only_failed = request.GET.get("state") == "failed"
    log = webhook.deliveries.prefetch_related("attempts")
    page = Paginator(log.failed() if only_failed else log, DELIVERIES_A_PAGE).get_page(
        request.GET.get("page")
    )
    return render(
        request,
        "screening/webhook.html",
        {"webhook": webhook, "page": page, "only_failed": only_failed},
    )


@require_safe
def delivery(request: UserRequest, pk: UUID) -> HttpResponse:
    """The content of a delivery, and each attempt with its response. The page polls until it is
    finished.
    """
    visible = Delivery.objects.visible_to(request.user).select_related("webhook__clinic")
    found = get_object_or_404(visible.prefetch_related("attempts"), pk=pk)
    name = "partials/delivery_state.html" if request.headers.get("HX-Request") else "delivery.html"
    context = {"delivery": found, "webhook": found.webhook}
    return render(request, f"screening/{name}", context)


@require_POST
def test(request: UserRequest, pk: UUID) -> HttpResponse:
    sent = webhook_services.send_test(user=request.user, webhook=_webhook(request, pk))
    return redirect("delivery", sent.pk)


@require_POST
def resend(request: UserRequest, pk: UUID) -> HttpResponse:
    visible = Delivery.objects.visible_to(request.user).select_related("webhook")
    found = get_object_or_404(visible, pk=pk)
    carry_out(request, webhook_services.resend, "It is being sent again.", delivery=found)
    return redirect("delivery", pk)


@require_POST
def resend_failed(request: UserRequest, pk: UUID) -> HttpResponse:
    done = "Everything that failed is being sent again."
    return _done(request, pk, webhook_services.resend_failed, done)


@require_POST
@recent_log_in
def rotate(request: UserRequest, pk: UUID) -> HttpResponse:
    done = "Events are signed with the new secret now, and for 24 hours with the old one as well."
    return _done(request, pk, webhook_services.rotate_secret, done)


@require_POST
@recent_log_in
def switch_on(request: UserRequest, pk: UUID) -> HttpResponse:
    return _done(request, pk, webhook_services.switch_on, "The webhook is on.")


@require_POST
def switch_off(request: UserRequest, pk: UUID) -> HttpResponse:
    return _done(request, pk, webhook_services.switch_off, "The webhook is off: nothing is sent.")


@require_POST
def remove(request: UserRequest, pk: UUID) -> HttpResponse:
    webhook = _webhook(request, pk)
    webhook_services.remove_webhook(user=request.user, webhook=webhook)
    messages.success(request, f"The webhook “{webhook}” is removed.")
    return redirect("clinic", webhook.clinic_id) if webhook.clinic_id else redirect("account")


def _webhook(request: UserRequest, pk: UUID) -> Webhook:
    visible = Webhook.objects.visible_to(request.user).select_related("clinic")
    return get_object_or_404(visible, pk=pk)


def _done(request: UserRequest, pk: UUID, write: Callable[..., Any], done: str) -> HttpResponse:
    carry_out(request, write, done, webhook=_webhook(request, pk))
    return redirect("webhook", pk)
