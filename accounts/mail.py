"""Mail on its way out. A mail server that is away is no reason to stop whoever wanted to tell."""

from __future__ import annotations

import logging
from email.errors import MessageError
from smtplib import SMTPException

from django.core.mail import EmailMessage

logger = logging.getLogger(__name__)

# A server that is away or refuses, and an address or a header that none takes.
NOT_TAKEN = (SMTPException, OSError, ValueError, MessageError)


def deliver(message: EmailMessage, about: str) -> bool:
    """Whether the mail server took it. about: for the log, which shows no address."""
    try:
        message.send()
    except NOT_TAKEN as error:
        logger.error("%s was not mailed: %s", about, type(error).__name__)
        return False
    return True
