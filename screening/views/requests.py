"""The request that every page behind the login gets."""

from __future__ import annotations

from django.http import HttpRequest

from accounts.models import User


class UserRequest(HttpRequest):
    user: User
