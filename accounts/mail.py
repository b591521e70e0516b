"""Outgoing mail. An unavailable mail server does not make the caller fail."""

from __future__ import annotations

import logging
from email.errors import MessageError
from smtplib import SMTPException

from django.core.mail import EmailMessage

logger = logging.getLogger(__name__)

# An unavailable or rejecting server, and an invalid address or header.
NOT_TAKEN = (SMTPException, OSError, ValueError, MessageError)


def deliver(message: EmailMessage, about: str) -> bool:
    """Send the mail. Returns whether the server accepted it. about: for the log, which omits the
    address.
    """
    try:
        message.send()
    except NOT_TAKEN as error:
        logger.error("%s was not mailed: %s", about, type(error).__name__)
        return False
    return True
