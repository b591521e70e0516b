"""A user's sessions, and ending them."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from accounts import services
from accounts.web.views import SignedInRequest


@require_POST
def end(request: SignedInRequest, pk: int) -> HttpResponse:
    session = get_object_or_404(UserSession.objects.filter(user=request.user), pk=pk)
    services.end_session(user=request.user, session=session)
    messages.success(request, "That browser is logged out.")
    return redirect("usersessions_list")
