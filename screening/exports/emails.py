"""Mail that an export is ready: a link that ends with the file, and no finding.

An export is claimed for ``LEASE`` while its mail is sent. A mail that is not accepted is tried
again when the lease is over, until the file is removed.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts.mail import deliver
from screening.formatting import day
from screening.models import Export

LEASE = timedelta(minutes=10)
_SALT = "screening.exports"
_LONGEST = timedelta(days=30)


def token_of(export: Export) -> str:
    return signing.dumps(str(export.pk), salt=_SALT)


def export_of(token: str) -> UUID:
    """The identifier of the export that a mailed link names. Raises Export.DoesNotExist for a
    forged one. The link outlives the file.
    """
    try:
        return UUID(signing.loads(token, salt=_SALT, max_age=_LONGEST))
    except (signing.BadSignature, ValueError):
        raise Export.DoesNotExist from None


def send_waiting() -> None:
    for pk in _waiting().values_list("pk", flat=True):
        send(pk)


def send(pk: UUID) -> None:
    """Mail the link, unless another worker does, or a program asked, which polls."""
    if not _waiting().filter(pk=pk).update(mailing_since=timezone.now()):
        return
    export = Export.objects.select_related("requested_by").get(pk=pk)
    if deliver(_mail(export), f"export {pk}"):
        Export.objects.filter(pk=pk).update(mailed_at=timezone.now())


def _waiting() -> QuerySet[Export]:
    now = timezone.now()
    # A later lease was taken before the clock was set back.
    free = ~Q(mailing_since__range=(now - LEASE, now + LEASE))
    people = Q(requested_by__is_active=True, requested_by__accounts_application=None)
    return Export.objects.ready().filter(free, people, mailed_at=None)


def _mail(export: Export) -> EmailMessage:
    until = day(timezone.localdate(export.expires_at))
    link = f"{settings.SITE_URL}{reverse('export_fetch', args=[token_of(export)])}"
    lines = [
        "The file that you asked for is ready:",
        "",
        link,
        "",
        f"The link works until {until}, for you only: it asks you to log in. Then the file is "
        "removed.",
        "",
        "If you did not ask for this, change your password: somebody uses your account.",
        f"{settings.SITE_URL}{reverse('account')}",
    ]
    return EmailMessage(
        subject="Your download is ready",
        body="\n".join(lines),
        to=[export.requested_by.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
