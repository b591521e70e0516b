"""Write path of invitations: offers of membership, sent by email as a signed link."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts.locks import lock
from accounts.mail import deliver
from accounts.models import INVITATION_DAYS, Clinic, Invitation, Membership, User
from accounts.services import (
    has_confirmed_address,
    lock_members,
    lock_person,
    require_clinic_admin,
)

# In 24 hours. Invited people did not ask for it, and may not know the sender.
BY_ONE_PERSON = 20
BY_ONE_CLINIC = 40
TO_ONE_ADDRESS = 3

TRIED_AGAIN_AFTER = timedelta(minutes=10)
"""Before this time, the page that created it may still be sending."""

_SALT = "accounts.invitation"
NO_INVITATION = (
    f"This invitation has been used or withdrawn, is older than {INVITATION_DAYS} days, or came "
    "from someone who is no longer an admin of the clinic. Ask the clinic for a new one."
)


@transaction.atomic
def invite(*, user: User, clinic: Clinic, email: str, role: str) -> Invitation:
    """Offer a membership, and mail the link after commit. Replaces an open invitation to the same
    address.

    Raises ValidationError if the email address of ``user`` is not confirmed, or if a daily limit is
    reached.
    """
    email = email.strip().lower()
    lock_person(user)
    lock_members(clinic.pk)
    require_clinic_admin(user=user, clinic=clinic)
    if not has_confirmed_address(user):
        raise ValidationError("Confirm your own email address first, on your account page.")
    if Membership.objects.filter(clinic=clinic, user__email=email).exists():
        raise ValidationError({"email": f"{email} is already a member of {clinic}."})
    lock(email)  # no other clinic invites this address meanwhile
    _require_left(user, clinic, email)
    now = timezone.now()
    Invitation.objects.open().filter(clinic=clinic, email=email).update(withdrawn_at=now)
    invitation = Invitation(clinic=clinic, email=email, role=role, invited_by=user)
    invitation.full_clean()
    invitation.save()
    transaction.on_commit(lambda: mail(invitation))
    return invitation


def token_of(invitation: Invitation) -> str:
    return signing.dumps(str(invitation.pk), salt=_SALT)


def invitation_of(token: str) -> Invitation:
    """The open invitation that ``token`` names.

    Raises ValidationError for a forged, expired, withdrawn or used link, and if the sender may no
    longer invite.
    """
    try:
        pk = signing.loads(token, salt=_SALT, max_age=INVITATION_DAYS * 86_400)
        return Invitation.objects.standing().select_related("clinic", "invited_by").get(pk=pk)
    except (signing.BadSignature, Invitation.DoesNotExist):
        raise ValidationError(NO_INVITATION) from None


@transaction.atomic
def accept(*, user: User, token: str) -> Membership:
    """Use the invitation: ``user`` becomes a member with the offered role.

    An invitation is valid for one address: someone else who obtained the link cannot use it.
    """
    invitation = invitation_of(token)
    if invitation.email != user.email.lower():
        raise ValidationError(
            f"This invitation is for {invitation.email}. Log in with that address to accept it."
        )
    # Nobody loses the right to invite between the check and the membership.
    lock_members(invitation.clinic_id)
    standing = Invitation.objects.standing().filter(pk=invitation.pk)
    if not standing.update(accepted_at=timezone.now()):
        raise ValidationError(NO_INVITATION)
    membership, _ = Membership.objects.get_or_create(
        clinic=invitation.clinic, user=user, defaults={"role": invitation.role}
    )
    return membership


@transaction.atomic
def withdraw(*, user: User, invitation: Invitation) -> None:
    """Withdraw the invitation; its link stops working. Raises ValidationError if it was accepted
    meanwhile.
    """
    require_clinic_admin(user=user, clinic=invitation.clinic)
    still_open = Invitation.objects.open().filter(pk=invitation.pk)
    if not still_open.update(withdrawn_at=timezone.now()):
        raise ValidationError(f"{invitation.email} has just accepted, or it was withdrawn before.")


def mail(invitation: Invitation) -> bool:
    """Send the mail. Returns whether the mail server accepted it; if not, it is tried
    again later (``unmailed``).
    """
    path = reverse("accept_invitation", args=[token_of(invitation)])
    message = EmailMessage(
        subject=f"Invitation to {invitation.clinic} on SkinCheck",
        body=(
            f"{invitation.invited_by} invites you to join {invitation.clinic} as "
            f"{invitation.get_role_display().lower()}.\n\n{settings.SITE_URL}{path}\n\n"
            f"The link works for {INVITATION_DAYS} days, for {invitation.email} only."
        ),
        to=[invitation.email],
    )
    if not deliver(message, f"invitation {invitation.pk}"):
        return False
    invitation.mailed_at = timezone.now()
    invitation.save(update_fields=["mailed_at"])
    return True


def unmailed() -> QuerySet[Invitation]:
    """Send the mails that were not accepted before. A failure does not stop the others."""
    now = timezone.now()
    waiting = Invitation.objects.standing().filter(
        mailed_at=None,
        created__lt=now - TRIED_AGAIN_AFTER,
        created__gt=now - timedelta(days=INVITATION_DAYS),
    )
    return waiting.select_related("clinic", "invited_by")


def _require_left(user: User, clinic: Clinic, email: str) -> None:
    """Raise ValidationError at the daily limit. Withdrawn and replaced invitations count: each was
    a mail.
    """
    today = Invitation.objects.filter(created__gt=timezone.now() - timedelta(days=1))
    for condition, most in (
        (Q(invited_by=user), BY_ONE_PERSON),
        (Q(clinic=clinic), BY_ONE_CLINIC),
        (Q(email=email), TO_ONE_ADDRESS),
    ):
        if today.filter(condition).count() >= most:
            raise ValidationError("Too many invitations for one day. Try again tomorrow.")
