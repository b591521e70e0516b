"""A user's sessions, and ending them."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from allauth.usersessions.views import list_usersessions
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from accounts import services
from accounts.recent_log_in import recent_log_in, recent_log_in_to_post
from accounts.web.views import SignedInRequest


@require_POST
@recent_log_in
def end(request: SignedInRequest, pk: int) -> HttpResponse:
    session = get_object_or_404(UserSession.objects.filter(user=request.user), pk=pk)
    services.end_session(user=request.user, session=session)
    messages.success(request, "That browser is logged out.")
    return redirect("usersessions_list")


listing = recent_log_in_to_post(list_usersessions)
"""A POST logs out all others."""
