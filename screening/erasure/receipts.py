"""The signed receipt of an erasure: what was erased, what was kept and why, by kinds and counts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.serializers.json import DjangoJSONEncoder
from django.template.loader import render_to_string
from django.utils.encoding import force_str

from accounts.mail import deliver
from screening.models import Erasure
from screening.models.signatures import RECEIPT, holds, sign

BACKUPS = (
    "Backups are encrypted files that nobody changes. They are deleted when they grow old. Whoever "
    "restores one erases again at once what was erased since."
)
LOGS = "Log files hold identifiers without a name, until they are deleted by their age."
MAIL_IN_LOGS = "This site has no mail server: its log files hold its mail too, with the address."


def made_of(erasure: Erasure) -> dict[str, Any]:
    """The receipt, signed with the site's key."""
    content = {
        "receipt": str(erasure.pk),
        "site": settings.SITE_URL,
        "asked_at": _moment(erasure.created),
        "erased_at": _moment(erasure.erased_at),
        "erased": erasure.counts.get("erased", {}),
        "kept": erasure.counts.get("kept", []),
        "backups": BACKUPS,
        "logs": logs(),
    }
    return {**content, "signature": sign(content, RECEIPT)}


def logs() -> str:
    """What stays in the log files."""
    has_no_server = settings.EMAIL_BACKEND.endswith("console.EmailBackend")
    return f"{LOGS} {MAIL_IN_LOGS}" if has_no_server else LOGS


def is_genuine(receipt: dict[str, Any]) -> bool:
    """Whether this site signed exactly this."""
    content = {name: value for name, value in receipt.items() if name != "signature"}
    return holds(content, force_str(receipt.get("signature", "")), RECEIPT)


def as_json(receipt: dict[str, Any]) -> str:
    return DjangoJSONEncoder(indent=2, ensure_ascii=False).encode(receipt)


def mail(erasure: Erasure) -> bool:
    """Send the receipt to the address that is kept for this alone. Returns whether it was taken."""
    body = render_to_string(
        "erasure/receipt_mail.txt", {"receipt": erasure.receipt, "site_url": settings.SITE_URL}
    )
    message = EmailMessage("Your data are erased", body, to=[erasure.mail_to])
    message.attach("receipt.json", as_json(erasure.receipt), "application/json")
    return deliver(message, "receipt of an erasure")


def _moment(at: Any) -> str:
    return at.isoformat(timespec="seconds") if at else ""
