"""Optional mail: off by one click in the mail, on and off on the account page."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from accounts import services, unsubscribing
from accounts.models import User
from accounts.web.views import SignedInRequest


@csrf_exempt  # sent by mail programs without a cookie; the link identifies the user
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def off(request: HttpRequest, token: str) -> HttpResponse:
    """GET changes nothing: mail programs open links automatically."""
    try:
        user = unsubscribing.user_of(token)
    except User.DoesNotExist:
        raise Http404("No such link.") from None
    if request.method == "POST":
        services.set_reminder_mail(user=user, mails_reminders=False)
    return render(request, "accounts/mail_off.html", {"is_off": request.method == "POST"})


@require_POST
def switch(request: SignedInRequest) -> HttpResponse:
    wanted = not request.user.mails_reminders
    services.set_reminder_mail(user=request.user, mails_reminders=wanted)
    messages.success(request, f"You {'' if wanted else 'no longer '}get optional email.")
    return redirect("account")
