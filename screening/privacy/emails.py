"""Mail about clinics that follow a record, and about links that closed. It names no patient and no
finding.
"""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse

from accounts import unsubscribing
from accounts.mail import deliver
from accounts.models import User
from accounts.roles import Role
from screening.models import Following, Share


def tell_of_invitation(following: Following) -> None:
    """Mail the admins of the clinic."""
    path = reverse("clinic_followings", args=[following.clinic_id])
    _tell_clinic(
        following,
        f"Someone invites {following.clinic} to their record",
        f"A person who keeps a record of their skin on SkinCheck invites {following.clinic} to "
        "follow it. You see the record once one of you accepts:",
        path,
    )


def tell_of_answer(following: Following) -> None:
    """Mail the owner of the record."""
    path = reverse("patient_clinic", args=[following.patient_id])
    if following.accepted_at is not None:
        said = f"{following.clinic} follows your record from now on. You can end it at any time:"
    else:
        said = f"{following.clinic} does not follow your record: they declined your invitation."
    _send(following.invited_by, "Your invitation to a clinic was answered", said, path)


def tell_of_end(following: Following) -> None:
    """Mail the admins of the clinic."""
    _tell_clinic(
        following,
        f"{following.clinic} no longer follows a record",
        f"A person has stopped sharing their record with {following.clinic}. It is no longer "
        "among your patients. What you concluded stays in the person's record.",
        reverse("clinic_followings", args=[following.clinic_id]),
    )


def tell_of_closed_link(share: Share) -> None:
    """Mail the creator of a link that wrong codes closed: a notice about security, which cannot be
    switched off.
    """
    path = reverse("patient_access", args=[share.patient_id])
    message = EmailMessage(
        subject="A link that you made was closed",
        body="Somebody gave too many wrong codes to a link with which you share a record. It is "
        "closed, and shows nothing any more. If it was the doctor, make a new link, and give them "
        "the code again. If you do not know who it was, the link may be in other hands.\n\n"
        f"{settings.SITE_URL}{path}",
        to=[share.shared_by.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
    deliver(message, f"notice that share {share.pk} is closed")


def _tell_clinic(following: Following, subject: str, said: str, path: str) -> None:
    people = following.clinic.memberships.of_people().filter(role=Role.ADMIN)
    for member in people.select_related("user").order_by("created", "pk"):
        _send(member.user, subject, said, path)


def _send(user: User, subject: str, said: str, path: str) -> None:
    """Mail only people who accept unrequested mail."""
    if not (user.is_active and user.mails_reminders):
        return
    message = EmailMessage(
        subject=subject,
        body=f"{said}\n\n{settings.SITE_URL}{path}",
        to=[user.email],
        headers={"Auto-Submitted": "auto-generated", **unsubscribing.headers(user)},
    )
    deliver(message, f"notice of a following to user {user.pk}")
