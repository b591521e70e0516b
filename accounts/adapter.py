"""Adapts allauth: an unavailable mail server breaks no page."""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context as current
from django.contrib import messages
from django.http import HttpRequest

from accounts.mail import NOT_TAKEN

logger = logging.getLogger(__name__)

NOT_SENT = "No mail could be sent just now. Ask for it again in a few minutes."
SENT = "account/messages/email_confirmation_sent.txt"


class AccountAdapter(DefaultAccountAdapter):
    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """What was done before the mail, such as creating an account, is kept; the page says that
        no mail was sent.
        """
        try:
            super().send_mail(template_prefix, email, context)
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
        super().add_message(request, level, message_template, *arguments, **options)
