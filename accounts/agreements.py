"""The versioned texts that people agree to, and who agreed to which version.

The texts are templates that an operator edits: ``privacy/privacy.html`` and ``privacy/terms.html``.
After a change, users are asked to agree again at the next page.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.template.loader import get_template
from django.utils import timezone

from accounts.models import Agreement, Clinic, User

TEXTS = ("privacy/privacy.html", "privacy/terms.html")
AGREED = "agreed"
"""The session's key for the version that its user agreed to."""
CONFIRMATION = "Our patients are told what is kept and what for, and consent to it"
UNCONFIRMED = (
    f"Confirm this before the clinic's first record: “{CONFIRMATION}”. A page asks for it; a "
    "program sends `confirms`, which is true, with a new patient or a batch."
)


@cache
def version() -> str:
    """The version: twelve digits of a digest of both texts, as they are when the process starts."""
    templates: list[Any] = [get_template(name) for name in TEXTS]
    texts = [one.template.source for one in templates]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


@transaction.atomic
def agree(*, user: User, clinic: Clinic | None = None) -> Agreement:
    """Record that ``user`` agrees to the current texts, or confirms for ``clinic`` that its
    patients are informed and consent. Agreeing twice changes nothing.
    """
    agreement, _ = Agreement.objects.get_or_create(
        user=user, clinic=clinic, version=version(), withdrawn_at=None
    )
    return agreement


def withdraw(*, user: User) -> None:
    """Withdraw the agreement. Until the user agrees again, in any session, only exports and the
    erasure of the account remain open, and nothing that they made opens anything
    (``second_factors.admitted``).
    """
    standing = Agreement.objects.filter(user=user, clinic=None, withdrawn_at=None)
    standing.update(withdrawn_at=timezone.now())


def agreed(user: User) -> str:
    """The version that the person agreed to last; empty: none, or withdrawn."""
    standing = Agreement.objects.filter(user=user, clinic=None, withdrawn_at=None)
    found = standing.order_by("-given_at").values_list("version", flat=True).first()
    return found or ""


def is_asked_of(request: HttpRequest) -> bool:
    """Whether the logged-in user must agree first: they have withdrawn, or the texts have changed.
    The session knows the version, so no page queries it.
    """
    user: Any = request.user
    return bool(user.has_withdrawn or request.session.get(AGREED, version()) != version())


def require_confirmation(*, user: User, clinic: Clinic, confirms: bool) -> None:
    """Before a clinic's first record somebody confirms for it. confirms: ``user`` does so now.

    Raises ValidationError if nobody has.
    """
    if clinic_has_confirmed(clinic):
        return
    if not confirms:
        raise ValidationError({"confirms": UNCONFIRMED})
    agree(user=user, clinic=clinic)


def clinic_has_confirmed(clinic: Clinic) -> bool:
    return Agreement.objects.filter(clinic=clinic, withdrawn_at=None).exists()
