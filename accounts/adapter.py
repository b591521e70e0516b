"""Adapts allauth: an unavailable mail server breaks no page, a log-in counts as recent for a while,
and account owners are notified of changes.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import (
    AUTHENTICATION_METHODS_SESSION_KEY,
    get_authentication_records,
    record_authentication,
)
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.core import context as current
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts import agreements, devices
from accounts.mail import NOT_TAKEN
from accounts.models import User
from accounts.provider import logged_in_at

logger = logging.getLogger(__name__)

NOT_SENT = "The email could not be sent. Try again in a few minutes."
SENT = "account/messages/email_confirmation_sent.txt"
PASSWORDS = ("password_changed", "password_set", "password_reset")


class AccountAdapter(DefaultAccountAdapter):
    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Keep what was done before the mail, such as a new account. The page says that no mail was
        sent.
        """
        try:
            super().send_mail(template_prefix, email, {"site_url": settings.SITE_URL} | context)
        except NOT_TAKEN as error:
            logger.error("%s was not mailed: %s", template_prefix, type(error).__name__)
            current.request.mail_was_not_sent = True
            messages.error(current.request, NOT_SENT)

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        *arguments: Any,
        **options: Any,
    ) -> None:
        """Skip the message that a mail was sent if none was."""
        if message_template == SENT and getattr(request, "mail_was_not_sent", False):
            return
        if message_template and message_template.startswith("account/messages/password_"):
            options.setdefault("message_context", {"keys": _keys(request.user)})
        super().add_message(request, level, message_template, *arguments, **options)

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Add the browser in words and, after a password change, the API keys that remain valid."""
        more: dict[str, Any] = {"device": devices.named(self.get_http_user_agent(self.request))}
        if template_prefix.removeprefix("account/email/") in PASSWORDS:
            more["keys"] = _keys(user)
        super().send_notification_mail(template_prefix, user, more | (context or {}), email)

    def send_account_already_exists_mail(self, email: str) -> None:
        """Take as long as a sign-up, which hashes a password, so that nobody learns who has an
        account.
        """
        make_password("a password as long as others are")
        super().send_account_already_exists_mail(email)

    def post_login(
        self, request: HttpRequest, user: User, *, signup: bool, **options: Any
    ) -> HttpResponse:
        """Mail the owner if this browser is new to the account."""
        response: HttpResponse = super().post_login(request, user, signup=signup, **options)
        request.session[agreements.AGREED] = agreements.agreed(user)
        if through := (options.get("signal_kwargs") or {}).get("sociallogin"):
            for record in request.session.get(AUTHENTICATION_METHODS_SESSION_KEY, ()):
                if record["method"] == "socialaccount":
                    record["at"] = logged_in_at(through)
        elif signup:
            record_authentication(request, user, method="password")
        if not devices.is_known(request, user):
            devices.remember(response, user)
            if not signup:
                self.send_notification_mail("account/email/new_device", user)
        return response

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Leave a note for the audit log."""
        super().authentication_failed(request, **credentials)
        request.log_in_failed = True  # type: ignore[attr-defined]

    def is_reauthentication_required(self, *, app: str, **options: Any) -> bool:
        """A log-in counts as recent for a while; allauth would ask again at once, and never whoever
        has neither password nor factor.
        """
        user = self.request.user
        records = get_authentication_records(self.request, user)
        latest = max((record["at"] for record in records), default=0)
        is_old = time.time() - latest > settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
        if is_old and settings.IDENTITY_PROVIDER and not get_reauthentication_flows(user):
            raise ReauthenticationRequired
        return is_old

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Whoever has neither password nor factor logs in again through the provider."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        if methods or not (settings.IDENTITY_PROVIDER and user.is_authenticated):
            return methods
        return [{"id": "provider", "url": reverse("log_in_again")}]


def _keys(user: Any) -> list[str]:
    return list(user.api_keys.active().values_list("name", flat=True)) if user.pk else []
