"""The privacy page, the terms, and agreeing to them."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import agreements
from accounts.web.signup_form import AgreementForm
from accounts.web.views import SignedInRequest


@login_not_required
@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    return render(request, "privacy/privacy.html", _facts())


@login_not_required
@require_safe
def terms(request: HttpRequest) -> HttpResponse:
    return render(request, "privacy/terms.html", _facts())


@require_http_methods(["GET", "HEAD", "POST"])
def agree(request: SignedInRequest) -> HttpResponse:
    form = AgreementForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        agreements.agree(user=request.user)
        request.session[agreements.AGREED] = agreements.version()
        return redirect("home")
    records = request.user.patients.all()
    return render(request, "privacy/agree.html", {"form": form, "records": records})


@require_POST
def withdraw(request: SignedInRequest) -> HttpResponse:
    agreements.withdraw(user=request.user)
    messages.info(
        request,
        "You have withdrawn your agreement. Your record is kept, but closed until you agree again. "
        "Your keys, links and webhooks rest until then.",
    )
    return redirect("agree")


def _facts() -> dict[str, object]:
    """The settings that the texts name. Operators write everything else into the templates."""
    return {
        "operator": settings.OPERATOR,
        "operator_contact": settings.OPERATOR_CONTACT,
        "minimum_age": settings.MINIMUM_AGE,
        "version": agreements.version(),
    }
