"""Second factors: who must have one, and how their secrets are stored."""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest

from accounts.encrypted_text import decrypt, encrypt
from accounts.models import Membership, MembershipQuerySet, User, demands_factor, has_withdrawn

PURPOSE = "accounts.second_factors"
"""The purpose of the key that encrypts the secrets behind codes."""
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
"""Recovery codes replace a lost factor; alone they are not a factor."""


def demanding(person: Any) -> MembershipQuerySet:
    """Memberships of ``person`` that require a second factor."""
    return Membership.objects.filter(demands_factor(), user=person)


def has_factor(person: str = "") -> Exists:
    """A condition: the person has a factor. person: the path from the filtered rows to the user;
    empty for users.
    """
    factors = Authenticator.objects.filter(type__in=FACTORS)
    return Exists(factors.filter(user=OuterRef(f"{person}pk")))


def lacking(person: str = "") -> Q:
    """A condition: the person must have a second factor and has none. Operators always must.
    person: as in ``has_factor``.
    """
    demanded = Exists(demanding(OuterRef(f"{person}pk")))
    return (Q(**{f"{person}is_staff": True}) | Q(demanded)) & ~Q(has_factor(person))


def admitted(person: str) -> Q:
    """A condition: the person could get in now. What they made for others or for programs works
    only as long as this holds: links, calendars, keys. person: as in ``has_factor``.
    """
    active = Q(**{f"{person}is_active": True})
    return active & ~lacking(person) & ~has_withdrawn(person)


def is_lacking(request: HttpRequest) -> bool:
    """Whether the logged-in user must add a factor first: ``lacking`` of what ``accounts.log_in``
    brought along, without a query.
    """
    user: Any = request.user
    is_asked = user.is_staff or any(held.demands_factor for held in user.roles)
    return is_asked and not user.has_factor


def was_removed(request: HttpRequest) -> bool:
    """Whether the session was opened or confirmed with a factor that is gone since: a lost passkey,
    say. Costs a query in sessions with a factor.
    """
    records = get_authentication_records(request, request.user)
    used = {one["id"] for one in records if one.get("type") in FACTORS}
    return bool(used) and Authenticator.objects.filter(pk__in=used).count() < len(used)


class FactorAdapter(DefaultMFAAdapter):
    """Encrypts the secrets behind codes with a key derived from SECRET_KEY. Former keys still
    decrypt.
    """

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "This code is not right. Wait for the next one and try again.",
        "cannot_delete_authenticator": "You need a second factor here. Add another one first.",
        "cannot_generate_recovery_codes": "Add a second factor first. The codes are for when you "
        "cannot use it.",
    }

    def encrypt(self, text: str) -> str:
        return encrypt(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        return decrypt(encrypted_text, purpose=PURPOSE)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Whether the factor can be removed: not the last one of a user who must have one."""
        user = authenticator.user
        others = Authenticator.objects.filter(user=user, type__in=FACTORS)
        if others.exclude(pk=authenticator.pk).exists():
            return True
        return not (user.is_staff or demanding(user).exists())

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return f"Passkey {number}"

    def _get_site_name(self) -> str:
        return "SkinCheck"
