"""Write path of accounts: every change of a clinic, a membership, an invitation or a key."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.mail import send_mail
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import scopes as known_scopes
from accounts.models import (
    INVITATION_DAYS,
    KEY_PREFIX,
    ApiKey,
    Clinic,
    Invitation,
    Membership,
    Role,
    User,
)

_INVITATION_SALT = "accounts.invitation"
NO_INVITATION = (
    f"This invitation has been used or withdrawn, is older than {INVITATION_DAYS} days, or came "
    "from someone who is no longer an admin of the clinic. Ask the clinic for a new one."
)


def require_clinic_admin(*, user: User, clinic: Clinic) -> None:
    """Raise PermissionDenied unless ``user`` is an admin of ``clinic``."""
    if not Clinic.objects.with_member(user, (Role.ADMIN,)).contains(clinic):
        raise PermissionDenied("Only an admin of this clinic can do that.")


@transaction.atomic
def edit_profile(*, user: User, first_name: str, last_name: str) -> User:
    user.first_name, user.last_name = first_name.strip(), last_name.strip()
    user.full_clean(exclude=["password"])
    user.save(update_fields=["first_name", "last_name"])
    return user


@transaction.atomic
def found_clinic(*, user: User, name: str) -> Clinic:
    """Post: a clinic exists, and ``user`` is its first admin."""
    clinic = Clinic(name=name.strip())
    clinic.full_clean()
    clinic.save()
    Membership.objects.create(clinic=clinic, user=user, role=Role.ADMIN)
    return clinic


@transaction.atomic
def set_reviewing(*, user: User, clinic: Clinic, review_before_reading: bool) -> Clinic:
    """Post: the clinic's clinicians conclude with, or without, the model's reading in view."""
    require_clinic_admin(user=user, clinic=clinic)
    clinic.review_before_reading = review_before_reading
    clinic.save(update_fields=["review_before_reading"])
    return clinic


@transaction.atomic
def invite(*, user: User, clinic: Clinic, email: str, role: str) -> Invitation:
    """Offer a membership and send the link. An open invitation to the same address is replaced."""
    require_clinic_admin(user=user, clinic=clinic)
    email = email.strip().lower()
    if Membership.objects.filter(clinic=clinic, user__email=email).exists():
        raise ValidationError({"email": f"{email} is a member of {clinic} already."})
    Invitation.objects.open().filter(clinic=clinic, email=email).delete()
    invitation = Invitation(clinic=clinic, email=email, role=role, invited_by=user)
    invitation.full_clean()
    invitation.save()
    transaction.on_commit(lambda: _send_invitation(invitation))
    return invitation


def invitation_token(invitation: Invitation) -> str:
    return signing.dumps(str(invitation.pk), salt=_INVITATION_SALT)


def open_invitation(token: str) -> Invitation:
    """The open invitation that ``token`` names.

    Raises ValidationError when the link is forged, expired, withdrawn or used, and when who sent
    it may not invite any more.
    """
    try:
        pk = signing.loads(token, salt=_INVITATION_SALT, max_age=INVITATION_DAYS * 86_400)
        return Invitation.objects.standing().select_related("clinic", "invited_by").get(pk=pk)
    except (signing.BadSignature, Invitation.DoesNotExist):
        raise ValidationError(NO_INVITATION) from None


@transaction.atomic
def accept_invitation(*, user: User, token: str) -> Membership:
    """Post: the invitation is used up, and ``user`` is a member in the offered role.

    The invitation is for one address: someone else who got hold of the link cannot use it.
    """
    invitation = open_invitation(token)
    if invitation.email != user.email.lower():
        raise ValidationError(
            f"This invitation is for {invitation.email}. Log in with that address to accept it."
        )
    # Nobody loses the right to invite between the question and the membership.
    _lock(invitation.clinic_id)
    standing = Invitation.objects.standing().filter(pk=invitation.pk)
    if not standing.update(accepted_at=timezone.now()):
        raise ValidationError(NO_INVITATION)
    membership, _ = Membership.objects.get_or_create(
        clinic=invitation.clinic, user=user, defaults={"role": invitation.role}
    )
    return membership


@transaction.atomic
def withdraw_invitation(*, user: User, invitation: Invitation) -> None:
    """Raises ValidationError where it was accepted meanwhile."""
    require_clinic_admin(user=user, clinic=invitation.clinic)
    deleted, _ = Invitation.objects.open().filter(pk=invitation.pk).delete()
    if not deleted:
        raise ValidationError(f"{invitation.email} has just accepted, or it was withdrawn before.")


@transaction.atomic
def change_role(*, user: User, membership: Membership, role: str) -> Membership:
    _lock_members(membership)
    require_clinic_admin(user=user, clinic=membership.clinic)
    if role != Role.ADMIN:
        _require_another_admin(membership)
    membership.role = role
    membership.full_clean()
    membership.save(update_fields=["role"])
    return membership


@transaction.atomic
def remove_member(*, user: User, membership: Membership) -> None:
    """An admin removes anyone; a member may leave."""
    _lock_members(membership)
    if membership.user_id != user.pk:
        require_clinic_admin(user=user, clinic=membership.clinic)
    _require_another_admin(membership)
    membership.delete()


def create_api_key(
    *,
    user: User,
    name: str,
    scopes: Iterable[str] | None = None,
    clinic: Clinic | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Post: a key exists. Its secret is in the answer, and nowhere else.

    scopes: None for all there will ever be. clinic: the key sees nothing else.
    """
    if clinic is not None and not Clinic.objects.with_member(user).contains(clinic):
        raise ValidationError({"clinic": "You are no member of this clinic."})
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
    return key, secret


def revoke_api_key(*, user: User, key: ApiKey) -> None:
    """Post: the key opens nothing any more. Revoking twice keeps the first date."""
    user.api_keys.unrevoked().filter(pk=key.pk).update(revoked_at=timezone.now())


def _lock_members(membership: Membership) -> None:
    """Two admins who demote each other at the same moment must not both succeed."""
    _lock(membership.clinic_id)
    membership.refresh_from_db(fields=["role"])


def _lock(clinic_id: UUID) -> None:
    Clinic.objects.select_for_update().get(pk=clinic_id)


def _require_another_admin(membership: Membership) -> None:
    others: Any = membership.clinic.memberships.exclude(pk=membership.pk)
    if membership.role == Role.ADMIN and not others.filter(role=Role.ADMIN).exists():
        raise ValidationError("A clinic needs an admin. Make someone else admin first.")


def _send_invitation(invitation: Invitation) -> None:
    path = reverse("accept_invitation", args=[invitation_token(invitation)])
    send_mail(
        subject=f"Invitation to {invitation.clinic} on SkinCheck",
        message=(
            f"{invitation.invited_by} invites you to join {invitation.clinic} as "
            f"{invitation.get_role_display().lower()}.\n\n{settings.SITE_URL}{path}\n\n"
            f"The link works for {INVITATION_DAYS} days, for {invitation.email} only."
        ),
        from_email=None,
        recipient_list=[invitation.email],
    )
