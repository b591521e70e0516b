"""Mail to the owner of an account about changes to it."""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.mail import deliver
from accounts.models import User


def tell_after_commit(user: User, what: str, **context: object) -> None:
    """Mail ``templates/account/email/<what>_….txt`` once the change is committed."""
    transaction.on_commit(partial(_tell, user, what, context))


def _tell(user: User, what: str, context: dict[str, object]) -> None:
    context = {"timestamp": timezone.now(), "site_url": settings.SITE_URL, **context}
    subject = render_to_string(f"account/email/{what}_subject.txt", context)
    body = render_to_string(f"account/email/{what}_message.txt", context)
    deliver(EmailMessage(" ".join(subject.split()), body, to=[user.email]), f"notice {what}")
