"""Write path of accounts: every change to a clinic, a membership, an invitation or a key."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts import notices
from accounts import scopes as known_scopes
from accounts.models import ELSEWHERE, KEY_PREFIX, ApiKey, Clinic, Membership, User
from accounts.roles import Role

CLINICS_A_DAY = 3
CODE_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32, without ambiguous letters. Twelve are 60 random bits."""
_WRITTEN = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
# Mail programs would turn these into a link or a new line.
_ADDRESS = re.compile(r"[@/\\]|\.\w|www", re.IGNORECASE)


def require_clinic_admin(*, user: User, clinic: Clinic) -> None:
    """Raise PermissionDenied unless ``user`` is an admin of ``clinic``."""
    if not Clinic.objects.with_member(user, (Role.ADMIN,)).contains(clinic):
        raise PermissionDenied("Only an admin of this clinic can do that.")


@transaction.atomic
def edit_profile(*, user: User, first_name: str, last_name: str) -> User:
    user.first_name, user.last_name = first_name.strip(), last_name.strip()
    for field in ("first_name", "last_name"):
        _require_no_address(getattr(user, field), field)
    user.full_clean(exclude=["password"])
    user.save(update_fields=["first_name", "last_name"])
    return user


def add_from_elsewhere(*, pk: UUID, email: str = "", **fields: Any) -> User:
    """Create the account that an import names, without a password. Without an address it is only a
    name, and nobody can log in.
    """
    address = email or f"{pk}@{ELSEWHERE}"
    return User.objects.create_user(address, None, pk=pk, is_active=bool(email), **fields)


def set_reminder_mail(*, user: User, mails_reminders: bool) -> None:
    """Set whether reminders are mailed. Pages show them in any case."""
    User.objects.filter(pk=user.pk).update(mails_reminders=mails_reminders)


@transaction.atomic
def found_clinic(*, user: User, name: str) -> Clinic:
    """Create a clinic with ``user`` as its first admin.

    Raises PermissionDenied for users who may not, by the setting ``FOUND_CLINICS``.
    """
    if not may_found_clinics(user):
        raise PermissionDenied(why_not())
    _require_no_address(name, "name")
    lock_person(user)
    a_day_ago = timezone.now() - timedelta(days=1)
    if user.memberships.filter(role=Role.ADMIN, created__gt=a_day_ago).count() >= CLINICS_A_DAY:
        raise ValidationError("Too many clinics for one day. Try again tomorrow.")
    clinic = Clinic(name=name.strip())
    clinic.full_clean()
    clinic.save()
    Membership.objects.create(clinic=clinic, user=user, role=Role.ADMIN)
    return clinic


def may_found_clinics(user: User) -> bool:
    return {
        "anyone": True,
        "verified": has_confirmed_address(user),
        "staff": user.is_staff,
    }[settings.FOUND_CLINICS]


def why_not() -> str:
    """Who may create clinics, in words for users who may not."""
    if settings.FOUND_CLINICS == "staff":
        return "On this site, only the operator starts clinics. Ask them to start yours."
    return "Confirm your email address first, on your account page."


def has_confirmed_address(user: User) -> bool:
    return EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists()


@transaction.atomic
def set_reviewing(*, user: User, clinic: Clinic, review_before_reading: bool) -> Clinic:
    """Set whether the clinic's clinicians conclude before they see the model's reading."""
    require_clinic_admin(user=user, clinic=clinic)
    clinic.review_before_reading = review_before_reading
    clinic.save(update_fields=["review_before_reading"])
    return clinic


@transaction.atomic
def require_second_factor(*, user: User, clinic: Clinic, requires_second_factor: bool) -> Clinic:
    """Set whether members need a second factor to get in. Members without one are asked to
    add it.
    """
    require_clinic_admin(user=user, clinic=clinic)
    clinic.requires_second_factor = requires_second_factor
    clinic.save(update_fields=["requires_second_factor"])
    return clinic


@transaction.atomic
def require_bound_keys(*, user: User, clinic: Clinic, requires_bound_keys: bool) -> Clinic:
    """Set whether members' keys reach the clinic's records only if they are bound to it. The owners
    of keys that are shut out are told.
    """
    require_clinic_admin(user=user, clinic=clinic)
    begins = requires_bound_keys and not clinic.requires_bound_keys
    clinic.requires_bound_keys = requires_bound_keys
    clinic.save(update_fields=["requires_bound_keys"])
    if begins:
        _tell_owners_of_unbound_keys(clinic)
    return clinic


def _tell_owners_of_unbound_keys(clinic: Clinic) -> None:
    names: dict[User, list[str]] = {}
    for key in ApiKey.objects.unbound_in(clinic).select_related("user"):
        names.setdefault(key.user, []).append(key.name)
    for owner, keys in names.items():
        notices.tell_after_commit(owner, "keys_shut_out", keys=keys, clinic=clinic.name)


@transaction.atomic
def renew_code(*, user: User, clinic: Clinic) -> Clinic:
    """Create the code with which people invite the clinic to their record. It replaces a former
    one.
    """
    require_clinic_admin(user=user, clinic=clinic)
    clinic.code = "".join(secrets.choice(CODE_DIGITS) for _ in range(12))
    clinic.save(update_fields=["code"])
    return clinic


@transaction.atomic
def remove_code(*, user: User, clinic: Clinic) -> Clinic:
    """Remove the code, so that nobody can invite the clinic. It keeps following the records that it
    follows.
    """
    require_clinic_admin(user=user, clinic=clinic)
    clinic.code = ""
    clinic.save(update_fields=["code"])
    return clinic


def plain_code(text: str) -> str:
    """The code as it is stored, however it was typed."""
    return text.upper().translate(_WRITTEN)


@transaction.atomic
def change_role(*, user: User, membership: Membership, role: str) -> Membership:
    _lock_member(membership)
    require_clinic_admin(user=user, clinic=membership.clinic)
    if role != Role.ADMIN:
        _require_another_admin(membership)
    membership.role = role
    membership.full_clean()
    membership.save(update_fields=["role"])
    return membership


@transaction.atomic
def remove_member(*, user: User, membership: Membership) -> None:
    """Remove the membership. Admins remove anyone; members may leave."""
    _lock_member(membership)
    if membership.user_id != user.pk:
        require_clinic_admin(user=user, clinic=membership.clinic)
    _require_another_admin(membership)
    membership.delete()


@transaction.atomic
def create_api_key(
    *,
    user: User,
    name: str,
    scopes: Iterable[str] | None = None,
    clinic: Clinic | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Create a key. Its secret is returned only here.

    scopes: None for all present and future ones. clinic: restricts the key to this clinic.
    """
    if clinic is not None and not Clinic.objects.with_member(user).contains(clinic):
        raise ValidationError({"clinic": "You are not a member of this clinic."})
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError({"expires_at": "The key would have expired already."})
    secret = f"{KEY_PREFIX}{secrets.token_urlsafe(32)}"
    key = ApiKey(
        user=user,
        name=name.strip(),
        prefix=secret[:9],
        secret_sha256=ApiKey.digest(secret),
        scopes=None if scopes is None else known_scopes.checked(scopes),
        clinic=clinic,
        expires_at=expires_at,
    )
    key.full_clean()
    key.save()
    notices.tell_after_commit(user, "key_created", key=key.name)
    return key, secret


@transaction.atomic
def revoke_api_key(*, user: User, key: ApiKey) -> None:
    """Revoke the key, and tell whose it is. Revoking it again keeps the first date."""
    standing = ApiKey.objects.revocable_by(user).unrevoked().filter(pk=key.pk)
    if standing.update(revoked_at=timezone.now()):
        notices.tell_after_commit(key.user, "key_revoked", key=key.name)


def revoke_all_api_keys(*, user: User) -> None:
    user.api_keys.unrevoked().update(revoked_at=timezone.now())


def end_session(*, user: User, session: UserSession) -> None:
    """Log out one browser; its next request is anonymous, in every process."""
    if session.user_id == user.pk:
        session.end()


def forget_ended_sessions() -> None:
    """Delete expired sessions, and the entries in people's lists of sessions that ended."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    alive = Session.objects.filter(session_key=OuterRef("session_key"))
    UserSession.objects.exclude(Exists(alive)).delete()


def _lock_member(membership: Membership) -> None:
    """Lock the memberships: two admins who demote each other at the same moment must not both
    succeed.
    """
    lock_members(membership.clinic_id)
    membership.refresh_from_db(fields=["role"])


def lock_members(clinic_id: UUID) -> None:
    """Lock the clinic's memberships and roles until the transaction ends."""
    Clinic.objects.select_for_update().get(pk=clinic_id)


def lock_person(user: User) -> None:
    """Lock the person until the transaction ends, for limits per person. All code locks people,
    then clinics, then patients.
    """
    User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _require_no_address(text: str, field: str) -> None:
    """Check a name: it is mailed to people who know neither the clinic nor the person."""
    if _ADDRESS.search(text) or not text.strip().isprintable():
        raise ValidationError(
            {field: "Enter a name, not an address: leave out @, / and dots inside words."}
        )


def _require_another_admin(membership: Membership) -> None:
    others: Any = membership.clinic.memberships.exclude(pk=membership.pk)
    if membership.role == Role.ADMIN and not others.filter(role=Role.ADMIN).exists():
        raise ValidationError("A clinic needs an admin. Make someone else admin first.")
