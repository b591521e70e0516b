"""Mail about newly due reminders: one per person, and never twice for the same day.

A reminder is claimed by a conditional UPDATE with a lease while its mail is being sent. If the mail
server is unavailable, the claim is released; if the worker dies, the lease expires.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from accounts import unsubscribing
from accounts.mail import deliver
from accounts.models import Membership, User, has_withdrawn
from accounts.roles import Role
from screening.models import Reminder

LEASE = timedelta(minutes=10)
NAMED = 40
"""The maximum number of lesions named in a mail; the rest are counted."""


def addressees() -> dict[UUID, list[UUID]]:
    """Due reminders to mail now: their identifiers, by the addressee's."""
    newly_due = (
        Reminder.objects.due(timezone.localdate())
        .unmailed()
        .present()
        .exclude(has_withdrawn("lesion__patient__owner__"))
        .select_related("lesion__patient__owner", "set_by")
    )
    members = _members({reminder.lesion.patient.clinic_id for reminder in newly_due})
    found: dict[UUID, list[UUID]] = defaultdict(list)
    for reminder in newly_due:
        user = _addressee(reminder, members[reminder.lesion.patient.clinic_id])
        if user is not None and user.mails_reminders:
            found[user.pk].append(reminder.pk)
    return dict(found)


def send(user_id: UUID, reminder_ids: Iterable[UUID]) -> bool:
    """Send one mail about the reminders that are still due and not claimed by another worker.

    False if there is nothing to announce, or if the mail server does not accept it; a later attempt
    may succeed.
    """
    user = User.objects.get(pk=user_id)
    now = timezone.now()
    mine = Reminder.objects.filter(pk__in=list(reminder_ids))
    # A later lease was taken before the clock was set back.
    free = ~Q(mailing_since__range=(now - LEASE, now + LEASE))
    if not mine.due(timezone.localdate()).unmailed().filter(free).update(mailing_since=now):
        return False
    claimed = mine.filter(mailing_since=now)
    present = claimed.present().select_related("lesion__patient")
    told = list(present.order_by("due_on", "pk"))
    try:
        # all may have been withdrawn meanwhile
        if not told or not deliver(_mail(user, told), f"what is due for user {user.pk}"):
            return False
        for reminder in told:  # with the day announced: it may have been snoozed meanwhile
            claimed.filter(pk=reminder.pk).update(mailed_for=reminder.rings_on)
        return True
    finally:
        claimed.update(mailing_since=None)


def _members(clinic_ids: set[UUID | None]) -> dict[UUID | None, list[Membership]]:
    """Memberships of people with an active account and an agreement, by clinic, oldest first."""
    found: dict[UUID | None, list[Membership]] = defaultdict(list)
    people = Membership.objects.of_people()
    memberships = people.filter(clinic__in=clinic_ids - {None}, user__is_active=True).exclude(
        has_withdrawn("user__")
    )
    for membership in memberships.select_related("user").order_by("created", "pk"):
        found[membership.clinic_id].append(membership)
    return found


def _addressee(reminder: Reminder, members: list[Membership]) -> User | None:
    """The owner of the record; else whoever set the reminder; else, if they have left, a clinic
    admin.
    """
    owner = reminder.lesion.patient.owner
    if owner is not None:
        return owner if owner.is_active else None
    users = [membership.user for membership in members]
    if reminder.set_by in users:
        return reminder.set_by
    return next((member.user for member in members if member.role == Role.ADMIN), None)


def _mail(user: User, told: list[Reminder]) -> EmailMessage:
    """Contains only labels that people chose, and days: others may see the screen on which it is
    read.
    """
    one = len(told) == 1
    lines = [
        f"It is time for a new picture of {'this' if one else 'these'}:",
        "",
        *(f"- {reminder.public_name}, due {_day(reminder)}" for reminder in told[:NAMED]),
        *([f"- and {len(told) - NAMED} more"] if len(told) > NAMED else []),
        "",
        "Add pictures, put off or stop reminders here:",
        f"{settings.SITE_URL}{reverse('reminders')}",
    ]
    return EmailMessage(
        subject=f"{'A new picture is' if one else f'{len(told)} new pictures are'} due",
        body="\n".join(lines),
        to=[user.email],
        headers={"Auto-Submitted": "auto-generated", **unsubscribing.headers(user)},
    )


def _day(reminder: Reminder) -> str:
    return f"{reminder.rings_on.day} {reminder.rings_on:%b %Y}"
